"""The page of a delivery answers what happened to it, in words and as a timeline."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from biometrics.admin.trail import Trail, curl, trail_of
from biometrics.models import OutboxMessage, ParkedQueue, WebhookDelivery
from tests.console.conftest import NOW
from tests.console.revealing import reveal
from tests.console.test_pages import page_url


def follow(world: SimpleNamespace, **columns: Any) -> Trail:
    """Change the delivery and tell its trail."""
    WebhookDelivery.objects.update(**columns)
    world.webhookdelivery.refresh_from_db()
    return trail_of(world.webhookdelivery)


def titles(trail: Trail) -> list[str]:
    return [step.title for step in trail.steps]


@pytest.fixture
def published(world: SimpleNamespace) -> SimpleNamespace:
    """Make the delivery's whole way a success: understood +140 ms, on Kafka +310 ms."""
    done = NOW + timedelta(milliseconds=140)
    WebhookDelivery.objects.update(
        status="processed", processed_at=done, error="", error_code=""
    )
    world.webhookdelivery.documents.all().delete()
    world.hrvalert.raised_at = done
    world.hrvalert.save()
    OutboxMessage.objects.update(published_at=NOW + timedelta(milliseconds=310))
    world.webhookdelivery.refresh_from_db()
    return world


def test_a_published_delivery_tells_how_long_it_took(
    published: SimpleNamespace,
) -> None:
    trail = trail_of(published.webhookdelivery)
    assert trail.sentence == "Published in 310 ms: 1 event, 1 alert, 1 record."
    assert titles(trail) == [
        "Received, proven and stored before the 2xx",
        "Normalised",
        "Judged: alert",
        "Published",
    ]
    assert [step.since for step in trail.steps] == [
        "+0 ms",
        "+140 ms",
        "+140 ms",
        "+310 ms",
    ]
    assert [step.is_slowest for step in trail.steps] == [False, False, False, True]
    assert "partition 3 @ 88" in str(trail.steps[-1].details[0])


def test_the_slowest_step_is_marked_beside_two_at_the_same_time(
    published: SimpleNamespace,
) -> None:
    OutboxMessage.objects.update(published_at=NOW + timedelta(milliseconds=200))
    trail = trail_of(published.webhookdelivery)
    assert [step.is_slowest for step in trail.steps] == [False, True, False, False]


def test_an_older_alert_was_judged_again_with_the_delivery(
    published: SimpleNamespace,
) -> None:
    published.hrvalert.raised_at = NOW - timedelta(days=1)
    published.hrvalert.save()
    trail = trail_of(published.webhookdelivery)
    assert [step.since for step in trail.steps][1:3] == ["+140 ms", "+140 ms"]


def test_its_page_links_the_whole_way(
    admin_client: Client, published: SimpleNamespace
) -> None:
    url = page_url("webhookdelivery", published.webhookdelivery.pk)
    text = admin_client.get(url).content.decode()
    assert "Published in 310 ms" in text
    for model in ("biometricevent", "hrvalert", "outboxmessage"):
        assert page_url(model, getattr(published, model).pk) in text


def test_a_waiting_delivery_tells_what_is_before_it(world: SimpleNamespace) -> None:
    first = world.webhookdelivery
    later = WebhookDelivery.objects.create(
        public_id="9b7f9a53-0000-4000-8000-000000000002",
        vendor="terra",
        dedupe_key="trace-2",
        shard=3,
        received_at=NOW,
    )
    WebhookDelivery.objects.filter(pk=first.pk).update(status="pending")
    trail = trail_of(later)
    assert trail.sentence == (
        "Stored, not yet worked on: 1 deliveries of shard 3 are before it."
    )
    assert trail.steps[-1].title == "Normalise"
    assert trail.steps[-1].since == "ahead"


def test_a_parked_delivery_says_why_and_what_next(world: SimpleNamespace) -> None:
    trail = follow(world, status="parked", processed_at=NOW + timedelta(seconds=2))
    assert "data: not a list" in trail.sentence
    assert "A field is missing or of another kind" in trail.sentence
    assert "Next: Mend the vendor's mapping" in trail.sentence
    assert "Parked" in titles(trail)
    assert "Publish" not in titles(trail)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"status": "ignored", "error": "Workouts are not read."},
            "ignored on purpose",
        ),
        ({"status": "unlinked"}, "connect terra-user-1 to a person"),
        ({"status": "erased"}, "nothing of it is left"),
        ({"status": "retrying", "attempts": 3, "error": "429"}, "Tried 3 times"),
    ],
)
def test_every_other_state_is_said_in_words(
    world: SimpleNamespace, columns: dict[str, Any], said: str
) -> None:
    assert said in follow(world, **columns).sentence


def test_a_message_on_its_way_is_ahead(published: SimpleNamespace) -> None:
    OutboxMessage.objects.update(status="pending", published_at=None)
    trail = trail_of(published.webhookdelivery)
    assert "1 message on the way to Kafka" in trail.sentence
    assert (trail.steps[-1].title, trail.steps[-1].at) == ("Publish", None)


def test_a_parked_queue_is_named_with_its_reason(published: SimpleNamespace) -> None:
    OutboxMessage.objects.update(status="parked", published_at=None)
    assert ParkedQueue.objects.get().reason == "too large"
    trail = trail_of(published.webhookdelivery)
    assert "refuses this one record for good. too large Next: Look at" in trail.sentence


def test_a_delivery_that_said_nothing_new_is_no_loss(
    published: SimpleNamespace,
) -> None:
    OutboxMessage.objects.update(event=None)
    trail = trail_of(published.webhookdelivery)
    assert "It said nothing new" in trail.sentence


def test_its_queries_do_not_grow_with_it(
    published: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(5):
        trail_of(published.webhookdelivery)


def test_it_can_be_copied_as_a_command_once_revealed(
    admin_client: Client, world: SimpleNamespace
) -> None:
    url = page_url("webhookdelivery", world.webhookdelivery.pk)
    assert "--data-binary" not in admin_client.get(url).content.decode()
    reveal(admin_client, world.subject.pk)
    assert "--data-binary" in admin_client.get(url).content.decode()
    command = curl(world.webhookdelivery)
    assert command.startswith("curl -X POST http")
    assert "/webhooks/terra -H 'content-type: application/json'" in command
    assert "signature" not in command

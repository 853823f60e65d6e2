"""The page of a delivery answers what happened to it, in words and as a timeline."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from biometrics.admin.trail import Trail, trail_of
from biometrics.intake.rows import payload_id, payload_key
from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    ParkedQueue,
    WebhookDelivery,
)
from tests.console.conftest import NOW
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
    OutboxMessage.objects.update(
        created_at=done, published_at=NOW + timedelta(milliseconds=310)
    )
    world.webhookdelivery.refresh_from_db()
    return world


def test_a_published_delivery_tells_how_long_it_took(
    published: SimpleNamespace,
) -> None:
    trail = trail_of(published.webhookdelivery)
    assert trail.sentence == (
        "Published in 310 ms: 1 event, 1 reading, 1 alert, 1 record."
    )
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


@pytest.mark.parametrize(
    ("raised", "since"),
    [
        (timedelta(days=-1), "+140 ms"),
        (timedelta(milliseconds=-1), "+140 ms"),
        (timedelta(0), "+0 ms"),
        (timedelta(milliseconds=90), "+90 ms"),
        (timedelta(milliseconds=141), "+140 ms"),
    ],
)
def test_an_alert_that_nothing_told_of_counts_when_it_was_raised_on_the_way(
    published: SimpleNamespace, raised: timedelta, since: str
) -> None:
    published.hrvalert.raised_at = NOW + raised
    published.hrvalert.save()
    OutboxMessage.objects.update(alert_id=None)
    trail = trail_of(published.webhookdelivery)
    assert [s.since for s in trail.steps if s.title == "Judged: alert"] == [since]


@pytest.mark.parametrize(
    ("columns", "proof"),
    [
        ({"vendor": "terra", "secret_slot": 0}, "secret 0 of terra (counted from 0)"),
        ({"vendor": "terra", "secret_slot": 1}, "secret 1 of terra (counted from 0)"),
        ({"vendor": "healthkit"}, "the person's own token"),
        ({"vendor": "gone", "secret_slot": 2}, "secret 2 of gone (counted from 0)"),
    ],
)
def test_what_proved_its_sender_is_named_as_everywhere(
    admin_client: Client,
    published: SimpleNamespace,
    columns: dict[str, Any],
    proof: str,
) -> None:
    trail = follow(published, **columns)
    assert trail.steps[0].details == [f"proven by {proof}"]
    url = page_url("webhookdelivery", published.webhookdelivery.pk)
    page = unescape(admin_client.get(url).content.decode())
    assert page.count(proof) == 2
    WebhookDelivery.objects.update(origin="backfill")
    assert proof not in unescape(admin_client.get(url).content.decode())


def test_its_page_links_the_whole_way(
    admin_client: Client, published: SimpleNamespace
) -> None:
    url = page_url("webhookdelivery", published.webhookdelivery.pk)
    text = admin_client.get(url).content.decode()
    assert "Published in 310 ms" in text
    for model in ("biometricevent", "reading", "hrvalert", "outboxmessage"):
        assert page_url(model, getattr(published, model).pk) in text


@pytest.mark.parametrize(
    "model", ["biometricevent", "reading", "hrvalert", "outboxmessage"]
)
def test_what_became_of_it_leads_back_to_its_trail(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    page = admin_client.get(page_url(model, getattr(world, model).pk)).content.decode()
    there = page_url("webhookdelivery", world.webhookdelivery.pk)
    assert re.search(rf'href="{there}">[^<]*: its whole way<', page)


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
    later.refresh_from_db()
    trail = trail_of(later)
    assert trail.sentence == (
        "Stored, not yet worked on: 1 delivery of shard 3 is before it."
    )
    assert trail.steps[-1].title == "Normalise"
    assert trail.steps[-1].since == "ahead"


@pytest.fixture
def unread(world: SimpleNamespace) -> SimpleNamespace:
    """Take everything away that the delivery said."""
    OutboxMessage.objects.all().delete()
    world.biometricevent.delete()
    world.hrvalert.delete()
    return world


def test_a_parked_delivery_says_why_and_what_next(unread: SimpleNamespace) -> None:
    world = unread
    trail = follow(world, status="parked", processed_at=NOW + timedelta(seconds=2))
    assert "data: not a list" in trail.sentence
    assert "A field is missing or of another kind" in trail.sentence
    assert "Next: Mend the vendor's mapping" in trail.sentence
    assert "nothing of it was published" in trail.sentence
    assert "Parked" in titles(trail)
    assert "Publish" not in titles(trail)


def test_what_intake_parked_is_not_ahead(unread: SimpleNamespace) -> None:
    trail = follow(unread, status="parked", error_code="malformed", processed_at=None)
    (parked,) = [step for step in trail.steps if step.title == "Parked"]
    assert (parked.at, parked.since) == (NOW, "+0 ms")


def test_parked_when_read_again_it_does_not_deny_what_was_published(
    published: SimpleNamespace,
) -> None:
    trail = follow(
        published,
        status="parked",
        error_code="unreadable",
        processed_at=NOW + timedelta(days=1),
    )
    assert "nothing of it was published" not in trail.sentence
    assert titles(trail)[-2:] == ["Published", "Parked when read again"]


def test_a_replay_does_not_move_what_happened(published: SimpleNamespace) -> None:
    trail = follow(published, processed_at=NOW + timedelta(days=1))
    assert trail.sentence.startswith("Published in 310 ms")
    assert [step.since for step in trail.steps] == [
        *("+0 ms", "+140 ms", "+140 ms", "+310 ms", "+1 d"),
    ]
    assert titles(trail)[-1] == "Read again"
    trail = follow(published, status="pending")
    assert trail.sentence.startswith("Read before, now to be read again: 0 deliveries")
    assert (titles(trail)[-1], trail.steps[-1].at) == ("Normalise again", None)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"status": "ignored", "error": "Workouts are not read."},
            "ignored on purpose",
        ),
        (
            {"status": "unlinked", "error": "Its account is not connected."},
            "Waits for its account terra-user-1. Its account is not connected.",
        ),
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
    OutboxMessage.objects.all().delete()
    trail = trail_of(published.webhookdelivery)
    assert "no message tells of it: see the ledger" in trail.sentence
    BiometricEvent.objects.update(status="stale")
    trail = trail_of(published.webhookdelivery)
    assert "It said nothing new" in trail.sentence


@pytest.fixture
def announced(published: SimpleNamespace) -> SimpleNamespace:
    """Let a webhook have named the address of the delivery."""
    done = NOW + timedelta(milliseconds=90)
    published.announcement = WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="terra",
        event_type="s3_payload",
        dedupe_key="of-the-announcement",
        shard=0,
        received_at=NOW,
        status="processed",
        processed_at=done,
    )
    name = published.announcement.public_id
    published.webhookdelivery.origin = "announced"
    published.webhookdelivery.public_id = payload_id(vendor="terra", announcement=name)
    published.webhookdelivery.dedupe_key = payload_key(
        account_id="terra-user-1", announcement=name
    )
    published.webhookdelivery.save()
    return published


def test_what_was_announced_says_so_and_leads_to_its_announcement(
    admin_client: Client, announced: SimpleNamespace
) -> None:
    trail = trail_of(announced.webhookdelivery)
    assert trail.sentence.startswith("Published in 310 ms")
    assert titles(trail)[0] == (
        "Announced by a webhook; fetched from the address in it, and stored"
    )
    page = admin_client.get(page_url("webhookdelivery", announced.webhookdelivery.pk))
    link = page_url("webhookdelivery", announced.announcement.pk)
    assert f'href="{link}">the announcement<' in page.content.decode()


def test_an_announcement_leads_to_what_it_announced(
    admin_client: Client, announced: SimpleNamespace
) -> None:
    trail = trail_of(announced.announcement)
    assert "What lay there is a delivery of its own" in trail.sentence
    assert [(step.title, step.since) for step in trail.steps] == [
        ("Received, proven and stored before the 2xx", "+0 ms"),
        ("Fetched from the address in it", "+90 ms"),
    ]
    page = admin_client.get(page_url("webhookdelivery", announced.announcement.pk))
    link = page_url("webhookdelivery", announced.webhookdelivery.pk)
    assert f'href="{link}">what lay there<' in page.content.decode()


def test_its_queries_do_not_grow_with_it(
    published: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        trail_of(published.webhookdelivery)


def acts(page: str) -> dict[str, str]:
    """Return what the trail of a page offers to do, by its words."""
    found = re.findall(r'<a class="console-answer" href="([^"]+)">([^<]+)</a>', page)
    return {text: unescape(url) for url, text in found}


def test_its_page_looks_everything_up_once(
    world: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    OutboxMessage.objects.update(status="parked", published_at=None)
    WebhookDelivery.objects.update(error_code="refused")
    user = User.objects.create_user("one", password="x", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(user)
    with django_assert_max_num_queries(18):
        client.get(page_url("webhookdelivery", world.webhookdelivery.pk))


class TestWhatCanBeDone:
    def shown(self, client: Client, world: SimpleNamespace) -> dict[str, str]:
        url = page_url("webhookdelivery", world.webhookdelivery.pk)
        return acts(client.get(url).content.decode())

    def test_a_parked_one_is_retried_or_skipped_from_its_page(
        self, admin_client: Client, unread: SimpleNamespace
    ) -> None:
        offered = self.shown(admin_client, unread)
        assert list(offered) == ["Retry", "Skip"]
        asked = admin_client.get(offered["Skip"]).content.decode()
        here = page_url("webhookdelivery", unread.webhookdelivery.pk)
        assert f'href="{here}"' in asked
        done = admin_client.post(offered["Skip"], {"reason": "of no worth"})
        assert done["Location"] == here
        unread.webhookdelivery.refresh_from_db()
        assert unread.webhookdelivery.status == "ignored"
        assert self.shown(admin_client, unread) == {}

    def test_without_its_bytes_it_is_only_skipped(
        self, admin_client: Client, unread: SimpleNamespace
    ) -> None:
        WebhookDelivery.objects.update(body=None)
        assert list(self.shown(admin_client, unread)) == ["Skip"]

    def test_a_parked_queue_is_seen_to_from_the_delivery(
        self, admin_client: Client, published: SimpleNamespace
    ) -> None:
        OutboxMessage.objects.update(status="parked", published_at=None)
        offered = self.shown(admin_client, published)
        assert list(offered) == [
            *("Fix the messages", "Retry the messages", "Skip the messages"),
        ]
        for url in offered.values():
            assert "1 person" in admin_client.get(url).content.decode()

    def test_an_account_without_a_person_leads_to_the_people(
        self, admin_client: Client, unread: SimpleNamespace
    ) -> None:
        unread.vendorconnection.delete()
        WebhookDelivery.objects.update(status="unlinked")
        assert self.shown(admin_client, unread) == {
            "Choose the person to connect": reverse(
                "admin:biometrics_subject_changelist"
            )
        }
        there = reverse("admin:biometrics_subject_connect", args=[unread.subject.pk])
        WebhookDelivery.objects.update(reference=str(unread.subject.pk))
        assert self.shown(admin_client, unread) == {"Connect the account again": there}

    @pytest.mark.parametrize(
        ("status", "code"), [("unlinked", "needs_reconnect"), ("parked", "refused")]
    )
    def test_a_consent_that_is_gone_leads_to_a_new_link(
        self, admin_client: Client, unread: SimpleNamespace, status: str, code: str
    ) -> None:
        WebhookDelivery.objects.update(status=status, error_code=code)
        url = self.shown(admin_client, unread)["Connect the account again"]
        assert admin_client.get(url).status_code == 200

    @pytest.mark.parametrize(
        ("role", "offered"),
        [("viewer", []), ("clinician", []), ("operator", ["Retry", "Skip"])],
    )
    def test_nobody_is_offered_what_they_may_not_do(
        self, unread: SimpleNamespace, role: str, offered: list[str]
    ) -> None:
        user = User.objects.create_user("one", password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        assert list(self.shown(client, unread)) == offered

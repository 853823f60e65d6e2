"""The ledger in the console: 0, or a number that leads to the rows that do not add up."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics.board.traffic import traffic
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    IntakeCount,
    OutboxMessage,
    ToldChange,
    WebhookDelivery,
)

LEDGER = reverse("admin:biometrics_ledger")
INDEX = reverse("admin:index")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


@pytest.fixture
def today(world: SimpleNamespace) -> SimpleNamespace:
    """Move the world's delivery, event and message to a minute ago, uncounted."""
    at = timezone.now() - timedelta(minutes=1)
    WebhookDelivery.objects.update(received_at=at)
    BiometricEvent.objects.update(created_at=at)
    OutboxMessage.objects.update(created_at=at, published_at=at + timedelta(seconds=3))
    world.at = at
    return world


def counted(world: SimpleNamespace, outcome: str = "stored", n: int = 1) -> None:
    IntakeCount.objects.create(
        process="web-1",
        period=world.at.replace(second=0, microsecond=0),
        vendor="terra",
        outcome=outcome,
        count=n,
    )


def text_of(client: Client, url: str) -> str:
    page = client.get(url).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_when_it_adds_up_both_pages_say_so(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today)
    counted(today, "duplicate", 2)
    counted(today, "rejected", 4)
    for url in (INDEX, LEDGER):
        text = text_of(admin_client, url)
        assert "Nothing is lost" in text
        assert "Received 7 Duplicate 2 Rejected 4 Stored 1" in text
        assert "Parked 1 Messages published 1 Messages parked 0 Imbalance 0" in text


def test_a_lost_delivery_is_a_number_that_leads_to_its_hour(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today, n=3)
    page = admin_client.get(INDEX).content.decode()
    assert f'href="{LEDGER}"' in page
    assert "2 deliveries or messages cannot be accounted for" in page
    context = admin_client.get(LEDGER).context
    first = context["hours"][0]
    assert (first.line.vendor, first.line.imbalance) == ("terra", 2)
    assert first.start == today.at.replace(minute=0, second=0, microsecond=0)


def test_the_hours_that_do_not_add_up_come_before_newer_ones(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today)
    IntakeCount.objects.create(
        period=(today.at - timedelta(hours=5)).replace(minute=0, second=0),
        vendor="oura",
        outcome="stored",
        count=1,
    )
    hours = admin_client.get(LEDGER).context["hours"]
    assert [hour.line.imbalance for hour in hours] == [1, 0]


def test_the_rows_of_an_hour_are_one_link_away(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today)
    (hour,) = admin_client.get(LEDGER).context["hours"]
    (link,) = re.findall(r'href="([^"]+)"', hour.found)
    rows = admin_client.get(link.replace("&amp;", "&")).content.decode()
    delivery = today.webhookdelivery
    page = reverse("admin:biometrics_webhookdelivery_change", args=[delivery.pk])
    assert page in rows
    WebhookDelivery.objects.update(received_at=today.at - timedelta(hours=2))
    assert page not in admin_client.get(link.replace("&amp;", "&")).content.decode()


def test_what_was_said_without_a_message_is_named(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today)
    OutboxMessage.objects.all().delete()
    page = admin_client.get(LEDGER).content.decode()
    for row, model in (
        (BiometricEvent.objects.get(), "biometricevent"),
        (HrvAlert.objects.get(), "hrvalert"),
    ):
        assert reverse(f"admin:biometrics_{model}_change", args=[row.pk]) in page
    assert "2 cannot be accounted for" in page


def test_a_lost_part_and_an_untold_change_are_named(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today)
    BiometricEvent.objects.update(parts=2)
    ToldChange.objects.create(
        ce_id=uuid4(),
        subject=today.subject.pk,
        vendor="terra",
        change="revoked",
        at=today.at,
    )
    page = admin_client.get(LEDGER).content.decode()
    event = BiometricEvent.objects.get()
    assert reverse("admin:biometrics_biometricevent_change", args=[event.pk]) in page
    assert "2 cannot be accounted for" in page
    assert f"terra revoked of {today.subject}" in text_of(admin_client, LEDGER)


def test_the_ledger_is_for_those_who_may_see_deliveries(
    bare_client: Client, today: SimpleNamespace
) -> None:
    assert bare_client.get(LEDGER).status_code == 403


def test_the_way_from_webhook_to_kafka_is_timed(
    admin_client: Client, today: SimpleNamespace
) -> None:
    assert "3.0 s median of the newest records; p99: 3.0 s" in text_of(
        admin_client, INDEX
    )


def test_what_was_fetched_afterwards_is_not_timed(
    admin_client: Client, today: SimpleNamespace
) -> None:
    WebhookDelivery.objects.update(origin="backfill")
    assert "none median of the newest records" in text_of(admin_client, INDEX)


def test_what_a_webhook_announced_is_timed_from_its_arrival(
    admin_client: Client, today: SimpleNamespace
) -> None:
    WebhookDelivery.objects.update(origin="announced")
    assert "3.0 s median of the newest records" in text_of(admin_client, INDEX)


def test_what_was_announced_is_told_beside_what_is_stored(
    admin_client: Client, today: SimpleNamespace
) -> None:
    WebhookDelivery.objects.update(origin="announced")
    page = text_of(admin_client, INDEX)
    assert "Received 0 Duplicate 0 Rejected 0 Stored 0" in page
    assert "Parked 1 Messages published 1 Messages parked 0 Imbalance 0" in page
    # By vendor: nothing received nor stored, one announced, which is parked.
    assert "terra 0 0 0 0 1 0 0 0 1 0 0 0" in page
    (hour,) = admin_client.get(LEDGER).context["hours"]
    (link,) = re.findall(r'href="([^"]+)"', hour.announced)
    rows = admin_client.get(link.replace("&amp;", "&")).content.decode()
    delivery = today.webhookdelivery
    assert (
        reverse("admin:biometrics_webhookdelivery_change", args=[delivery.pk]) in rows
    )


def test_what_a_replay_publishes_anew_is_not_timed(
    admin_client: Client, today: SimpleNamespace
) -> None:
    first = today.biometricevent
    again = BiometricEvent.objects.get(pk=first.pk)
    again.pk, again.record_id = uuid4(), "read-again"
    again.save(force_insert=True)
    at = today.at - timedelta(days=3)
    WebhookDelivery.objects.update(received_at=at)
    BiometricEvent.objects.filter(pk=first.pk).update(created_at=at)
    OutboxMessage.objects.update(event=again)
    assert "none median of the newest records" in text_of(admin_client, INDEX)


def test_deliveries_are_counted_minute_by_minute(
    admin_client: Client, today: SimpleNamespace
) -> None:
    counted(today, n=5)
    counted(today, "rejected", 2)
    found = traffic(now=today.at + timedelta(minutes=1))
    rows = found["tables"]["traffic"]
    assert [[one["text"] for one in row] for row in rows] == [
        ["terra", "rejected", "2", "2"],
        ["terra", "stored", "5", "5"],
    ]
    text = text_of(admin_client, INDEX)
    assert "terra rejected 2" in text
    assert "terra stored 5" in text

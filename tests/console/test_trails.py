"""From a delivery to all of its messages and back, as the pipeline really makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from biometrics.admin.trail import trail_of
from biometrics.linking import relink
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.retention import retain
from biometrics.trails import deliveries_of, delivery_of, found_of, person_of
from tests.browser.seed import body, sleep, store, work

pytestmark = pytest.mark.django_db

ACCOUNT = "terra-rob"


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", lambda _: None)


@pytest.fixture
def now() -> datetime:
    return datetime.now(tz=UTC)


def night(now: datetime, *, rmssd: float, minutes_ago: int) -> WebhookDelivery:
    """Let last night arrive with this value, and be worked on."""
    day = now - timedelta(hours=8)
    raw = body(user_id=ACCOUNT, nights=[sleep(day=day, rmssd=rmssd, resting=60)])
    at = now - timedelta(minutes=minutes_ago)
    row = store(raw, account=ACCOUNT, at=at)
    work(now=at + timedelta(seconds=1))
    row.refresh_from_db()
    return row


def told(delivery: WebhookDelivery) -> list[str]:
    return [message.event_type for message in found_of(delivery).messages]


def test_an_alerts_messages_are_with_the_delivery_that_caused_each(
    now: datetime,
) -> None:
    low = night(now, rmssd=20, minutes_ago=30)
    mended = night(now, rmssd=60, minutes_ago=20)
    assert told(low)[-2:] == ["sleep.updated", "hrv_alert.raised"]
    assert told(mended) == ["sleep.updated", "hrv_alert.retracted"]
    alert = HrvAlert.objects.get()
    for delivery in (low, mended):
        assert found_of(delivery).alerts == [alert]
    assert deliveries_of(alert) == [low, mended]


def test_every_message_leads_back(now: datetime) -> None:
    low = night(now, rmssd=20, minutes_ago=30)
    messages = list(OutboxMessage.objects.order_by("id"))
    assert [message.event_type for message in messages] == told(low)
    assert len(messages) >= 2
    assert [delivery_of(message) for message in messages] == [low] * len(messages)


def test_a_connections_change_is_told_by_its_delivery(now: datetime) -> None:
    first = night(now, rmssd=60, minutes_ago=30)
    kim = Subject.objects.create(label="Kim")
    VendorConnection.objects.create(subject=kim, vendor="terra", account_id="terra-kim")
    raw = (
        b'{"type":"access_revoked","status":"success",'
        b'"user":{"user_id":"terra-rob","provider":"GARMIN"}}'
    )
    ended = store(raw, account=ACCOUNT, at=now, event_type="access_revoked")
    # Of the same moment, and yet another one's.
    other = store(raw, account="terra-kim", at=now, event_type="access_revoked")
    work(now=now + timedelta(seconds=1))
    assert told(ended) == ["connection.revoked"]
    for delivery in (ended, other):
        (message,) = found_of(delivery).messages
        assert delivery_of(message) == delivery
    assert "connection.revoked" not in told(first)
    ended.refresh_from_db()
    assert trail_of(ended).sentence == (
        "Understood: 1 change of the connection. 1 message on the way to Kafka."
    )


class TestWhose:
    def test_what_it_said_is_whose_it_was_then(self, now: datetime) -> None:
        row = night(now, rmssd=60, minutes_ago=30)
        robin = Subject.objects.get()
        assert person_of(row) == robin.pk
        handed_over(now)
        assert person_of(row) == robin.pk

    def test_before_it_said_anything_it_is_not_the_new_persons(
        self, now: datetime
    ) -> None:
        robin = night(now, rmssd=60, minutes_ago=30).events.get().subject
        parked = store(b"{}", account=ACCOUNT, at=now, status="parked")
        assert person_of(parked) == robin.pk
        kim = handed_over(now + timedelta(minutes=1))
        assert person_of(parked) is None
        later = store(
            b"{}", account=ACCOUNT, at=now + timedelta(minutes=2), status="parked"
        )
        assert person_of(later) == kim.pk

    def test_retention_leaves_it_known_whose_an_account_was(
        self, now: datetime, settings: Settings
    ) -> None:
        parked = store(b"{}", account=ACCOUNT, at=now, status="parked")
        night(now, rmssd=60, minutes_ago=30)
        handed_over(now + timedelta(minutes=1))
        settings.AUDIT_RETENTION_DAYS = 30
        retain(now=now + timedelta(days=400), limit_s=60)
        assert person_of(parked) is None

    def test_what_was_said_of_two_is_nobodys(self, now: datetime) -> None:
        row = night(now, rmssd=60, minutes_ago=30)
        event = row.events.get()
        event.pk, event.subject = event.delivery.public_id, Subject.objects.create()
        event.status = "superseded"
        event.save()
        assert BiometricEvent.objects.count() == 2
        assert person_of(row) is None


def handed_over(now: datetime) -> Subject:
    kim = Subject.objects.create(label="Kim")
    relink(
        connection_id=VendorConnection.objects.get().pk,
        subject=kim,
        actor="ops",
        reason="the watch was passed on",
        now=now,
    )
    return kim

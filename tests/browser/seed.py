"""A plausible day of a bridge, carried through the real steps 4 to 7."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.db.models import F

from biometrics import pipeline
from biometrics.models import (
    HrvAlert,
    IntakeCount,
    OutboxMessage,
    ParkedQueue,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryStatus
from biometrics.shards import shard_of
from biometrics.trails import found_of

_NIGHTS = 60
PEOPLE = ("Robin Vale", "Kim Aster", "Sam Okafor")
ILL = "Robin Vale"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the tables hold: Robin falls ill in the last night."""

    now: datetime
    alert: HrvAlert
    parked: WebhookDelivery
    published: WebhookDelivery
    subjects: dict[str, Subject] = field(default_factory=dict)


def seed() -> World:
    """Fill the tables; returns what tests ask about."""
    now = datetime.now(tz=UTC)
    subjects = {label: _person(label) for label in PEOPLE}
    for number, label in enumerate(PEOPLE):
        _history(number, label=label, now=now)
    parked = _parked(now=now)
    published = _last_night(now=now)
    _settle(now=now)
    _held_back(subjects["Sam Okafor"].id, now=now)
    _count(now=now)
    alert = HrvAlert.objects.filter(subject=subjects[ILL]).latest("night")
    return World(
        now=now, alert=alert, parked=parked, published=published, subjects=subjects
    )


def sleep(*, day: datetime, rmssd: float, resting: float) -> dict[str, Any]:
    """Return one night as Terra tells it."""
    start = day.replace(hour=0, minute=10, second=0, microsecond=0)
    summary = {"avg_hr_bpm": resting + 4, "resting_hr_bpm": resting}
    return {
        "metadata": {
            "start_time": start.isoformat(),
            "end_time": (start + timedelta(hours=7, minutes=30)).isoformat(),
            "is_nap": False,
            "summary_id": f"night-{day:%Y-%m-%d}",
            "upload_type": 2,
        },
        "heart_rate_data": {"summary": {**summary, "avg_hrv_rmssd": rmssd}},
        "sleep_durations_data": {
            "asleep": {"duration_asleep_state_seconds": 25_200},
            "other": {"duration_in_bed_seconds": 27_000},
        },
    }


def body(*, user_id: str, nights: list[dict[str, Any]]) -> bytes:
    """Return the body of one Terra sleep delivery."""
    return orjson.dumps(
        {
            "type": "sleep",
            "user": {"user_id": user_id, "provider": "GARMIN"},
            "data": nights,
        }
    )


def store(raw: bytes, *, account: str, at: datetime, **columns: Any) -> WebhookDelivery:
    """Keep a delivery as intake does."""
    return WebhookDelivery.objects.create(
        **{
            "public_id": uuid4(),
            "vendor": "terra",
            "account_id": account,
            "event_type": "sleep",
            "dedupe_key": str(uuid4()),
            "shard": shard_of("terra", account),
            "body": raw,
            "headers": {
                "content-type": "application/json",
                "user-agent": "Terra-Webhooks/2",
            },
            "received_at": at,
            **columns,
        }
    )


def work(*, now: datetime) -> None:
    """Carry what is due through to the outbox, as a worker does."""
    for shard in sorted(pipeline.due_process_shards(now=now)):
        pipeline.process_shard(shard=shard, now=lambda: now, budget_s=60)


def _person(label: str) -> Subject:
    subject = Subject.objects.create(label=label)
    VendorConnection.objects.create(
        subject=subject, vendor="terra", account_id=f"terra-{label[:3].lower()}"
    )
    return subject


def _morning(now: datetime) -> datetime:
    """Return a moment of the date whose night is over: they end at 07:40."""
    return now - timedelta(hours=8)


def _history(number: int, *, label: str, now: datetime) -> None:
    nights = [
        sleep(
            day=_morning(now) - timedelta(days=ago),
            rmssd=58 + 6 * number + 7 * math.sin(ago * 1.7 + number) + 3 * (ago % 3),
            resting=54 + 2 * math.sin(ago * 0.9),
        )
        # Two nights without the watch: the chart shows a gap.
        for ago in range(_NIGHTS, 0, -1)
        if ago not in {20, 21}
    ]
    account = f"terra-{label[:3].lower()}"
    store(body(user_id=account, nights=nights), account=account, at=now - _AN_HOUR * 3)
    work(now=now - timedelta(days=1))


_AN_HOUR = timedelta(hours=1)


def _last_night(*, now: datetime) -> WebhookDelivery:
    found = None
    for number, label in enumerate(PEOPLE):
        is_ill = label == ILL
        account = f"terra-{label[:3].lower()}"
        night = sleep(
            day=_morning(now),
            rmssd=31 if is_ill else 60 + 6 * number,
            resting=67 if is_ill else 54,
        )
        row = store(
            body(user_id=account, nights=[night]),
            account=account,
            at=now - timedelta(minutes=12 - 2 * number),
        )
        found = row if is_ill else found
    work(now=now - timedelta(minutes=5))
    assert found is not None
    found.refresh_from_db()
    return found


def _settle(*, now: datetime) -> None:
    """Play Kafka's part: what is in the outbox has been published."""
    for delivery in WebhookDelivery.objects.filter(status="processed"):
        done = delivery.received_at + timedelta(milliseconds=140)
        WebhookDelivery.objects.filter(pk=delivery.pk).update(processed_at=done)
        mine = [message.pk for message in found_of(delivery).messages]
        delivery.events.update(created_at=done)
        OutboxMessage.objects.filter(pk__in=mine).update(
            created_at=done, published_at=done + timedelta(milliseconds=170)
        )
        alerts = HrvAlert.objects.filter(hrv_night__event__delivery=delivery)
        alerts.update(raised_at=done)
    OutboxMessage.objects.filter(published_at=None).update(published_at=now)
    OutboxMessage.objects.update(
        status="published", kafka_partition=3, kafka_offset=88_000 + F("id")
    )


def _parked(*, now: datetime) -> WebhookDelivery:
    for minutes in (55, 31):
        store(
            b'{"type": "sleep", "data": "not a list"}',
            account="terra-kim",
            at=now - timedelta(minutes=minutes),
            status=DeliveryStatus.PARKED,
            error_code="unreadable",
            error="data: must be a list, not text. Fix the mapping, then retry.",
            attempts=1,
        )
    return store(
        b"<html>not json</html>",
        account="",
        at=now - timedelta(minutes=22),
        event_type="",
        status=DeliveryStatus.PARKED,
        error_code="malformed",
        error="The body is not JSON, though its signature is genuine.",
    )


def _held_back(subject: UUID, *, now: datetime) -> None:
    message = OutboxMessage.objects.filter(subject=subject).latest("id")
    OutboxMessage.objects.filter(pk=message.pk).update(
        status="parked",
        error="MessageSizeTooLargeError: 1 200 000 bytes",
        published_at=None,
        kafka_partition=None,
        kafka_offset=None,
    )
    ParkedQueue.objects.create(
        subject=subject,
        shard=message.shard,
        from_id=message.pk,
        code="too_large",
        reason="MessageSizeTooLargeError: 1 200 000 bytes",
        since=now - timedelta(minutes=9),
    )


def _count(*, now: datetime) -> None:
    """Count what intake would have counted, with a few that it turned away."""
    minute = timedelta(minutes=1)
    for row in WebhookDelivery.objects.all():
        _add(row.vendor, "stored", row.received_at, 1)
    for ago in range(60):
        at = now - ago * minute
        _add("terra", "duplicate", at, 1 if ago % 7 == 0 else 0)
        _add("oura", "rejected", at, 2 if ago in {14, 15} else 0)


def _add(vendor: str, outcome: str, at: datetime, count: int) -> None:
    if not count:
        return
    row, _ = IntakeCount.objects.get_or_create(
        process="web-1",
        period=at.replace(second=0, microsecond=0),
        vendor=vendor,
        outcome=outcome,
    )
    IntakeCount.objects.filter(pk=row.pk).update(count=F("count") + count)

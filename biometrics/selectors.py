"""Reading for those who watch: health, metrics, admin. Never part of the flow.

Everything here stays on partial indexes, so it costs the same with a year of history;
what a page shows costs the same with millions of rows waiting, too (see `waiting`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import TruncMinute

from biometrics import waiting
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    IntakeCount,
    OutboxMessage,
    PublishBatch,
    ReplayRun,
    ShardLease,
    StaffAlarm,
    WebhookDelivery,
)
from biometrics.models.hrv import AlertStatus, Severity
from biometrics.models.intake import DUE_DELIVERY, DeliveryOrigin, DeliveryStatus
from biometrics.models.outbox import BatchState, LeaseStep, MessageStatus, Priority
from biometrics.models.replay import ReplayState
from biometrics.waiting import Number
from resilience.wording import age as in_one_unit

# Runs go one after the other; who looks at an older one looks again.
_REPLAYS = 5
_WAITING_MESSAGE = Q(status=MessageStatus.PENDING)
_DELIVERY_STATES = ("pending", "retrying", "unlinked", "parked")
_MESSAGE_STATES = ("pending", "in_batch", "parked")
# The delay is told of so many records at most, of this time, and is so old at most.
_TIMED = 500
_TIMED_AMONG = 2_000
_TIMED_SINCE = timedelta(hours=1)
_TIMED_KEPT_S = 5
_TIMED_KEY = "webhook-to-kafka"


def depths() -> dict[tuple[str, str], int]:
    """Count what waits by (queue, status), to the last row: for beat, not for a page."""
    found = {("deliveries", status): 0 for status in _DELIVERY_STATES}
    found |= {("messages", status): 0 for status in _MESSAGE_STATES}
    deliveries = WebhookDelivery.objects.filter(
        DUE_DELIVERY
        | Q(status=DeliveryStatus.UNLINKED)
        | Q(status=DeliveryStatus.PARKED)
    )
    messages = OutboxMessage.objects.filter(status__in=_MESSAGE_STATES)
    for queue, rows in (("deliveries", deliveries), ("messages", messages)):
        counted = rows.values_list("status").annotate(n=Count("id"))
        found |= {(queue, status): n for status, n in counted.order_by()}
    return found


def oldest(*, now: datetime) -> dict[str, timedelta | None]:
    """Return how old the oldest row of each queue is that could be worked on now.

    None for a queue in which nothing is due; a delivery that waits for its next attempt
    is not due before that time. A message counts until it is known to be in Kafka: what
    was in hand when Kafka went away stays in an open batch until it is back.
    """
    found = waiting.ask(deliveries=_first_delivery(now), messages=_first_message())
    received = WebhookDelivery.objects.values_list("received_at", flat=True)
    created = OutboxMessage.objects.values_list("created_at", flat=True)
    return {
        "deliveries": _since(received, found["deliveries"], now=now),
        "messages": _since(created, found["messages"], now=now),
    }


def open_alarms() -> dict[str, int]:
    """Return how many alarms for staff are open, by kind."""
    return dict(
        StaffAlarm.objects.filter(cleared_at=None)
        .values_list("kind")
        .annotate(n=Count("id"))
        .order_by("kind")
    )


def stopped_shards() -> int:
    """Return how many shards publish nothing until a person has ended their alarm."""
    return ShardLease.objects.filter(step=LeaseStep.PUBLISH).exclude(alarm="").count()


def dashboard_numbers(*, now: datetime) -> dict[str, str]:
    """Return what the dashboard shows live, as text by key."""
    found = waiting.ask(
        **_counted(),
        in_batches=waiting.value_of(
            PublishBatch.objects.filter(state=BatchState.OPEN)
            .values("state")
            .annotate(n=Sum("size"))
            .values("n")
        ),
        first_message=_first_message(),
    )
    counts = {key: number or 0 for key, number in found.items()}
    created = OutboxMessage.objects.values_list("created_at", flat=True)
    return {
        "as_of": now.strftime("%H:%M:%S UTC"),
        **{key: waiting.told(counts[key]) for key in _counted()},
        "outbox_waiting": waiting.told(counts["outbox_waiting"] + counts["in_batches"]),
        "outbox_oldest": _age(_since(created, found["first_message"], now=now)),
        **_delays(now=now),
        **_replay_numbers(),
    }


def deliveries_per_minute(
    *, now: datetime, minutes: int
) -> dict[tuple[str, str], dict[datetime, int]]:
    """Return what intake answered, by (vendor, outcome) and minute."""
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes - 1)
    rows = (
        IntakeCount.objects.filter(period__gte=since, period__lte=now)
        .exclude(process="")
        .annotate(minute=TruncMinute("period"))
        .values_list("vendor", "outcome", "minute")
        .annotate(n=Sum("count"))
    )
    found: dict[tuple[str, str], dict[datetime, int]] = {}
    for vendor, outcome, minute, n in rows.order_by("vendor", "outcome"):
        found.setdefault((vendor, outcome), {})[minute] = n
    return found


def webhook_to_kafka(*, now: datetime) -> tuple[float, float] | None:
    """Return p50 and p99 in seconds from receipt to Kafka, None where nothing is new.

    Of the newest 500 records of the last hour whose delivery a webhook brought or
    announced, from its arrival, looked for among the newest 2,000; of what waits now the
    outbox's age tells. What a replay publishes anew is not timed: its webhook was
    published when it was read first.
    """
    before = BiometricEvent.objects.filter(
        delivery=OuterRef("event__delivery"),
        created_at__lt=OuterRef("event__created_at"),
    )
    newest = OutboxMessage.objects.filter(
        status=MessageStatus.PUBLISHED, published_at__gte=now - _TIMED_SINCE
    ).order_by("-published_at")
    timed = (
        # A history that is being fetched publishes by the million.
        OutboxMessage.objects.filter(
            ~Exists(before),
            pk__in=newest.values("pk")[:_TIMED_AMONG],
            event__delivery__origin__in=[
                DeliveryOrigin.WEBHOOK,
                DeliveryOrigin.ANNOUNCED,
            ],
        )
        .order_by("-published_at")
        .values_list(F("published_at") - F("event__delivery__received_at"), flat=True)
    )
    took = sorted(age.total_seconds() for age in timed[:_TIMED])
    if not took:
        return None
    return took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]


def _counted() -> dict[str, Number]:
    """Return what is counted while it waits, each by its own index."""
    deliveries, alerts = WebhookDelivery.objects, HrvAlert.objects
    opened = alerts.filter(status=AlertStatus.OPEN).order_by("severity", "-raised_at")
    rows: dict[str, QuerySet[Any, Any]] = {
        "alarms_open": StaffAlarm.objects.filter(cleared_at=None)
        .order_by("kind", "key")
        .values("kind"),
        "alerts_open": opened.values("severity"),
        **{
            f"alerts_{severity.lower()}": opened.filter(severity=severity).values(
                "severity"
            )
            for severity in (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)
        },
        "deliveries_due": deliveries.filter(DUE_DELIVERY)
        .order_by("shard", "id")
        .values("shard"),
        "deliveries_unlinked": deliveries.filter(status=DeliveryStatus.UNLINKED)
        .order_by("vendor", "account_id")
        .values("vendor"),
        "outbox_waiting": OutboxMessage.objects.filter(_WAITING_MESSAGE)
        .order_by("shard", "-priority", "id")
        .values("shard"),
        "parked_deliveries": deliveries.filter(status=DeliveryStatus.PARKED)
        .order_by("error_code", "id")
        .values("id"),
        "parked_messages": OutboxMessage.objects.filter(status=MessageStatus.PARKED)
        .order_by("id")
        .values("id"),
    }
    return {key: waiting.up_to(found) for key, found in rows.items()}


def _first_delivery(now: datetime) -> Number:
    is_due = DUE_DELIVERY & (Q(next_attempt_at=None) | Q(next_attempt_at__lte=now))
    rows = WebhookDelivery.objects.filter(is_due, shard=waiting.EACH_SHARD)
    return waiting.first_of_shards(rows.order_by("id"))


def _first_message() -> Number:
    rows = OutboxMessage.objects.filter(_WAITING_MESSAGE, shard=waiting.EACH_SHARD)
    opened = PublishBatch.objects.filter(
        state=BatchState.OPEN, shard=waiting.EACH_SHARD
    )
    # By the time, which no index has: by id the whole table might be walked for them.
    in_hand = OutboxMessage.objects.filter(batch=Subquery(opened.values("id")[:1]))
    return waiting.first_of_shards(
        *(
            rows.filter(priority=priority).order_by("id")
            for priority in Priority.values
        ),
        in_hand.order_by("created_at"),
    )


def _since(
    moments: QuerySet[Any, datetime], key: int | None, *, now: datetime
) -> timedelta | None:
    at = None if key is None else moments.filter(pk=key).first()
    return None if at is None else now - at


def _delays(*, now: datetime) -> dict[str, str]:
    """Return p50 and p99 as text, at most five seconds old in this process."""
    told: dict[str, str] | None = cache.get(_TIMED_KEY)
    if told is None:
        found = webhook_to_kafka(now=now)
        told = {
            "delay_p50": _seconds(found and found[0]),
            "delay_p99": _seconds(found and found[1]),
        }
        cache.set(_TIMED_KEY, told, _TIMED_KEPT_S)
    return told


def _seconds(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _replay_numbers() -> dict[str, str]:
    """Return how far the newest replays and plans are."""
    told: dict[str, str] = {}
    for run in ReplayRun.objects.defer("plan", "selection").order_by("-id")[:_REPLAYS]:
        is_plan = run.state in {ReplayState.PLANNING, ReplayState.PLANNED}
        told |= {
            f"replay_{run.pk}_at": str(run.planned if is_plan else run.done),
            f"replay_{run.pk}_changed": str(run.changed),
            f"replay_{run.pk}_state": run.state,
        }
    return told


def _age(age: timedelta | None) -> str:
    return "none" if age is None else in_one_unit(age.total_seconds())

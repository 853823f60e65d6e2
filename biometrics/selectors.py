"""Reading for those who watch: health, metrics, admin. Never part of the flow.

Everything here stays on partial indexes, so it costs the same with a year of history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import TruncMinute

from biometrics.models import (
    HrvAlert,
    IntakeCount,
    OutboxMessage,
    ReplayRun,
    ShardLease,
    StaffAlarm,
    WebhookDelivery,
)
from biometrics.models.hrv import AlertStatus
from biometrics.models.intake import DUE_DELIVERY, DeliveryOrigin, DeliveryStatus
from biometrics.models.outbox import LeaseStep, MessageStatus
from biometrics.models.replay import ReplayState
from resilience.wording import age as in_one_unit

# Runs go one after the other; who looks at an older one looks again.
_REPLAYS = 5
_WAITING_MESSAGE = Q(status=MessageStatus.PENDING)
_DELIVERY_STATES = ("pending", "retrying", "unlinked", "parked")
_MESSAGE_STATES = ("pending", "in_batch", "parked")
# The delay is told of so many records at most, of this time, and is so old at most.
_TIMED = 500
_TIMED_SINCE = timedelta(hours=1)
_TIMED_KEPT_S = 5
_TIMED_KEY = "webhook-to-kafka"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """How many rows wait by (queue, status), and how old the oldest due one is.

    `oldest` is None for a queue in which nothing is due; a delivery that waits for its
    next attempt is not due before that time.
    """

    depths: Mapping[tuple[str, str], int]
    oldest: Mapping[str, timedelta | None]


def queues(*, now: datetime) -> Queues:
    """Count what waits, by one query for each of the two queues."""
    is_due = DUE_DELIVERY & (Q(next_attempt_at=None) | Q(next_attempt_at__lte=now))
    deliveries = (
        WebhookDelivery.objects.filter(
            DUE_DELIVERY
            | Q(status=DeliveryStatus.UNLINKED)
            | Q(status=DeliveryStatus.PARKED)
        )
        .values_list("status")
        .annotate(n=Count("id"), oldest=Min("received_at", filter=is_due))
    )
    messages = (
        OutboxMessage.objects.filter(
            status__in=[
                MessageStatus.PENDING,
                MessageStatus.IN_BATCH,
                MessageStatus.PARKED,
            ]
        )
        .values_list("status")
        .annotate(n=Count("id"), oldest=Min("created_at", filter=_WAITING_MESSAGE))
    )
    depths = {("deliveries", status): 0 for status in _DELIVERY_STATES}
    depths |= {("messages", status): 0 for status in _MESSAGE_STATES}
    oldest: dict[str, timedelta | None] = {}
    for queue, rows in (("deliveries", list(deliveries)), ("messages", list(messages))):
        depths |= {(queue, status): n for status, n, _ in rows}
        first = min((at for _, _, at in rows if at is not None), default=None)
        oldest[queue] = None if first is None else now - first
    return Queues(depths=depths, oldest=oldest)


def open_alerts() -> dict[str, int]:
    """Return how many alerts are open, by severity."""
    return dict(
        HrvAlert.objects.filter(status=AlertStatus.OPEN)
        .values_list("severity")
        .annotate(n=Count("id"))
    )


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
    waiting_now = queues(now=now)
    depths, oldest = waiting_now.depths, waiting_now.oldest
    alerts = open_alerts()
    waiting = depths["messages", "pending"] + depths["messages", "in_batch"]
    return {
        "as_of": now.strftime("%H:%M:%S UTC"),
        "deliveries_due": str(
            depths["deliveries", "pending"] + depths["deliveries", "retrying"]
        ),
        "deliveries_unlinked": str(depths["deliveries", "unlinked"]),
        "parked_deliveries": str(depths["deliveries", "parked"]),
        "parked_messages": str(depths["messages", "parked"]),
        "outbox_waiting": str(waiting),
        "outbox_oldest": _age(oldest["messages"]),
        "alerts_open": str(sum(alerts.values())),
        "alerts_critical": str(alerts.get("CRITICAL", 0)),
        "alerts_high": str(alerts.get("HIGH", 0)),
        "alerts_medium": str(alerts.get("MEDIUM", 0)),
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

    Of the newest 500 records of the last hour whose delivery came as a webhook; of what
    waits now the outbox's age tells.
    """
    newest = (
        OutboxMessage.objects.filter(
            status=MessageStatus.PUBLISHED,
            published_at__gte=now - _TIMED_SINCE,
            event__delivery__origin=DeliveryOrigin.WEBHOOK,
        )
        .order_by("-published_at")
        .values_list(F("published_at") - F("event__delivery__received_at"), flat=True)
    )
    took = sorted(age.total_seconds() for age in newest[:_TIMED])
    if not took:
        return None
    return took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]


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

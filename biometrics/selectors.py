"""Reading for those who watch: health, metrics, admin. Never part of the flow.

Everything here stays on partial indexes, so it costs the same with a year of history.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from biometrics.models import HrvAlert, OutboxMessage, ReplayRun, WebhookDelivery
from biometrics.models.hrv import AlertStatus
from biometrics.models.intake import DUE_DELIVERY, DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.models.replay import ReplayState

# Runs go one after the other; who looks at an older one looks again.
_REPLAYS = 5
_WAITING_MESSAGE = Q(status=MessageStatus.PENDING)


def queue_depths() -> dict[tuple[str, str], int]:
    """Return how many rows wait, by (queue, status)."""
    depths: dict[tuple[str, str], int] = {}
    deliveries = (
        WebhookDelivery.objects.filter(
            DUE_DELIVERY
            | Q(status=DeliveryStatus.UNLINKED)
            | Q(status=DeliveryStatus.PARKED)
        )
        .values_list("status")
        .annotate(n=Count("id"))
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
        .annotate(n=Count("id"))
    )
    for status in ("pending", "retrying", "unlinked", "parked"):
        depths["deliveries", status] = 0
    for status in ("pending", "in_batch", "parked"):
        depths["messages", status] = 0
    depths |= {("deliveries", status): n for status, n in deliveries}
    depths |= {("messages", status): n for status, n in messages}
    return depths


def oldest_due(*, now: datetime) -> dict[str, timedelta | None]:
    """Return the age of the oldest due row of each queue, None when nothing is due.

    A delivery that waits for its next attempt is not due before that time.
    """
    delivery = WebhookDelivery.objects.filter(
        DUE_DELIVERY,
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=now),
    ).aggregate(at=Min("received_at"))["at"]
    message = OutboxMessage.objects.filter(_WAITING_MESSAGE).aggregate(
        at=Min("created_at")
    )["at"]
    return {
        "deliveries": now - delivery if delivery else None,
        "messages": now - message if message else None,
    }


def open_alerts() -> dict[str, int]:
    """Return how many alerts are open, by severity."""
    return dict(
        HrvAlert.objects.filter(status=AlertStatus.OPEN)
        .values_list("severity")
        .annotate(n=Count("id"))
    )


def dashboard_numbers(*, now: datetime) -> dict[str, str]:
    """Return what the dashboard shows live, as text by key."""
    depths = queue_depths()
    oldest = oldest_due(now=now)
    alerts = open_alerts()
    waiting = depths["messages", "pending"] + depths["messages", "in_batch"]
    return {
        "as_of": now.strftime("%H:%M:%S UTC"),
        "deliveries_due": str(
            depths["deliveries", "pending"] + depths["deliveries", "retrying"]
        ),
        "deliveries_unlinked": str(depths["deliveries", "unlinked"]),
        "parked": str(depths["deliveries", "parked"] + depths["messages", "parked"]),
        "outbox_waiting": str(waiting),
        "outbox_oldest": _age(oldest["messages"]),
        "alerts_open": str(sum(alerts.values())),
        "alerts_critical": str(alerts.get("CRITICAL", 0)),
        "alerts_high": str(alerts.get("HIGH", 0)),
        "alerts_medium": str(alerts.get("MEDIUM", 0)),
        **_replay_numbers(),
    }


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
    return "none" if age is None else f"{age.total_seconds():.0f} s"

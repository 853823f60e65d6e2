"""What came last: the worst open alerts and the latest deliveries."""

from __future__ import annotations

from django.db.models import F
from django.urls import reverse

from biometrics.alerts.explaining import WORST_FIRST, why
from biometrics.board.parts import Board, Cell, cell
from biometrics.models import HrvAlert, WebhookDelivery
from biometrics.models.hrv import AlertStatus

_MOST = 8
_ALERT = "admin:biometrics_hrvalert_change"
_DELIVERY = "admin:biometrics_webhookdelivery_change"


def newest() -> Board:
    """Tell of a few of both, with their pages; no value is in it."""
    alerts = (
        HrvAlert.objects.filter(status=AlertStatus.OPEN)
        .select_related("subject")
        .annotate(baseline_state=F("evidence__state"))
        .defer("evidence")
        .order_by(*WORST_FIRST)
    )
    deliveries = WebhookDelivery.objects.defer("body", "headers").order_by("-id")
    return Board(
        numbers={},
        tables={
            "alerts": [_alert(one) for one in alerts[:_MOST]],
            "deliveries": [_delivery(one) for one in deliveries[:_MOST]],
        },
        charts={},
    )


def _alert(row: HrvAlert) -> list[Cell]:
    state: str | None = row.baseline_state  # type: ignore[attr-defined]
    return [
        cell(row.severity, href=reverse(_ALERT, args=[row.pk])),
        cell(row.subject),
        cell(row.night.isoformat()),
        cell(why(row, state=state)),
    ]


def _delivery(row: WebhookDelivery) -> list[Cell]:
    page = reverse(_DELIVERY, args=[row.pk])
    return [
        cell(f"{row.received_at:%m-%d %H:%M:%S}", href=page),
        cell(row.vendor),
        cell(row.event_type),
        cell(row.status),
    ]

"""The first page: is anything lost or stuck, and who needs me?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from biometrics import balances, selectors
from biometrics.admin import inbox, ledger_page
from biometrics.admin.base import link, moment
from biometrics.admin.hrv_rates import disturbance
from biometrics.admin.inbox import WORST_FIRST, why
from biometrics.admin.traffic import traffic
from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.models import HrvAlert, StaffAlarm, WebhookDelivery
from biometrics.models.hrv import AlertStatus
from resilience import get_breaker
from resilience.control import known_names

_PAGES = {
    "ledger": (ledger_page.NAME, ledger_page.PERMISSION, ""),
    "parked": ("admin:biometrics_parked", "biometrics.view_webhookdelivery", ""),
    "outbox": (
        "admin:biometrics_outboxmessage_changelist",
        "biometrics.view_outboxmessage",
        "?status__exact=pending",
    ),
    "alerts": (inbox.LIST, "biometrics.view_hrvalert", "?status__exact=open"),
    "breakers": (
        "admin:resilience_breakermode_changelist",
        "resilience.view_breakermode",
        "",
    ),
}


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the dashboard's blocks, each only for those who may see its rows."""
    now = timezone.now()
    may = request.user.has_perm
    context["title"] = "Dashboard"
    context["numbers"] = selectors.for_viewer(
        selectors.dashboard_numbers(now=now), may=may
    )
    context["urls"] = _urls(may)
    context["sees_nothing"] = not context["urls"]
    if may(ledger_page.PERMISSION):
        context["balance"], at = balances.recent(now=now)
        context["ledger_title"] = ledger_page.title(at)
        context["traffic"] = traffic(now=now)
        context["deliveries"] = {
            "headers": ["Received (UTC)", "Vendor", "Type", "Status"],
            "rows": [
                [
                    link(row, moment(row.received_at)),
                    row.vendor,
                    row.event_type,
                    row.status,
                ]
                for row in WebhookDelivery.objects.order_by("-id")[:8]
            ],
        }
    if may("biometrics.view_staffalarm"):
        context["alarms"] = {
            "headers": ["Since (UTC)", "What", "Whose", "What to do"],
            "rows": [
                [link(row, moment(row.since)), row.kind, row.key, row.text]
                for row in StaffAlarm.objects.filter(cleared_at=None).order_by("since")[
                    :8
                ]
            ],
        }
    if may("biometrics.view_hrvalert"):
        context["limits_of_use"] = LIMITS_OF_USE
        context["disturbance"] = disturbance(now=now, opened=context["numbers"])
        context["alerts"] = {
            "headers": ["Severity", "Person", "Night", "Why"],
            "rows": [
                [
                    link(row, row.severity),
                    row.subject,
                    row.night.isoformat(),
                    why(row, state=row.evidence.get("state")),
                ]
                for row in HrvAlert.objects.filter(status=AlertStatus.OPEN)
                .select_related("subject")
                .order_by(WORST_FIRST, "-raised_at")[:8]
            ],
        }
    if may("resilience.view_breakermode"):
        snapshots = [get_breaker(name).snapshot() for name in known_names()]
        context["breakers"] = {
            "headers": ["Circuit", "State", "Mode"],
            "rows": [[s.name, s.state, s.mode] for s in snapshots],
        }
    return context


def _urls(may: Callable[[str], bool]) -> dict[str, str]:
    """Return the pages behind the numbers, of those that this person may open."""
    return {
        key: reverse(name) + query
        for key, (name, permission, query) in _PAGES.items()
        if may(permission)
    }

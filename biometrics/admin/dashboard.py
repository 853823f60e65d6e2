"""The first page: is anything lost or stuck, and who needs me?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from biometrics import balances, board
from biometrics.admin import inbox, ledger_page, parked_work
from biometrics.admin.hrv_rates import disturbance
from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.board.traffic import OPTIONS

_PAGES = {
    "ledger": (ledger_page.NAME, ledger_page.PERMISSION, ""),
    "outbox": (
        "admin:biometrics_outboxmessage_changelist",
        "biometrics.view_outboxmessage",
        "?status__exact=pending",
    ),
    "alerts": (inbox.LIST, "biometrics.view_hrvalert", "?status__exact=open"),
    "alarms": (
        "admin:biometrics_staffalarm_changelist",
        "biometrics.view_staffalarm",
        "?state=open",
    ),
    "breakers": (
        "admin:resilience_breakermode_changelist",
        "resilience.view_breakermode",
        "",
    ),
}


_HEADERS = {
    "alarms": ["Since (UTC)", "What", "Whose", "What to do"],
    "alerts": ["Severity", "Person", "Night", "Why"],
    "breakers": ["Circuit", "State", "What it does now"],
    "deliveries": ["Received (UTC)", "Vendor", "Type", "Status"],
    "ledger": [
        "Vendor",
        "Received",
        "Duplicate",
        "Rejected",
        "Stored",
        "Announced",
        "Processed",
        "Ignored",
        "Waiting",
        "Parked",
        "Recovered",
        "Backfilled",
        "Imbalance",
    ],
    "traffic": ["Vendor", "Outcome", "Last hour", "Last full minute"],
}


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the dashboard's blocks, each only for those who may see its rows."""
    now = timezone.now()
    may = request.user.has_perm
    ledger = balances.recent(now=now) if may(ledger_page.PERMISSION) else None
    shown = board.for_viewer(board.whole(now=now, ledger=ledger), may=may)
    context["title"] = "Dashboard"
    context |= shown
    context["headers"] = _HEADERS
    context["urls"] = _urls(may)
    context["sees_nothing"] = not context["urls"]
    if ledger is not None:
        context["balance"] = ledger[0]
        context["ledger_title"] = ledger_page.TITLE
        context["traffic_data"] = json.dumps(shown["charts"]["traffic"])
        context["traffic_options"] = json.dumps(OPTIONS)
    if may("biometrics.view_hrvalert"):
        context["limits_of_use"] = LIMITS_OF_USE
        context["disturbance"] = disturbance(now=now, opened=shown["numbers"])
    return context


def _urls(may: Callable[[str], bool]) -> dict[str, str]:
    """Return the pages behind the numbers, of those that this person may open."""
    found = {
        key: reverse(name) + query
        for key, (name, permission, query) in _PAGES.items()
        if may(permission)
    }
    if any(may(permission) for permission in parked_work.VIEW.values()):
        found["parked"] = reverse("admin:biometrics_parked")
    return found

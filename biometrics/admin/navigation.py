"""The sidebar: watch, act, prove. A link that somebody may not follow is not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

Item = dict[str, Any]
_DELIVERIES = "admin:biometrics_webhookdelivery_changelist"
_PARKED = "?status__exact=parked"


def navigation(request: HttpRequest) -> list[Item]:
    """Return Unfold's navigation for this person."""
    return [
        _group(
            "Watch",
            _item("Dashboard", "dashboard", "admin:index"),
            _list("Alerts", "ecg_heart", "hrvalert"),
            _list("Deliveries", "inbox", "webhookdelivery")
            | {"active": _on_deliveries},
            _list("People", "group", "subject"),
            _list("Events", "event_note", "biometricevent"),
            _list("Readings", "monitor_heart", "reading"),
            _list("HRV nights", "bedtime", "hrvnight"),
        ),
        _group(
            "Act",
            _item(
                "Alarms",
                "notification_important",
                "admin:biometrics_staffalarm_changelist",
                query="?state=open",
                permission=_may_view("biometrics", "staffalarm"),
            ),
            _list("Parked queues", "pause_circle", "parkedqueue"),
            _item(
                "Parked deliveries",
                "report",
                _DELIVERIES,
                query=_PARKED,
                permission=_may_view("biometrics", "webhookdelivery"),
            )
            | {"active": _on_parked},
            _list("Breakers", "electrical_services", "breakermode", app="resilience"),
            _list("Connections", "link", "vendorconnection"),
        ),
        _group(
            "Prove",
            _list("Messages", "outbox", "outboxmessage"),
            _list("Batches", "deployed_code", "publishbatch"),
            _list("Leases", "key", "shardlease"),
            _list("Audit", "history", "auditentry"),
            _list("Staff", "badge", "user", app="auth"),
            _list("Roles", "shield_person", "group", app="auth"),
        ),
    ]


def _group(title: str, *items: Item) -> Item:
    return {"title": title, "separator": True, "items": list(items)}


def _list(title: str, icon: str, model: str, *, app: str = "biometrics") -> Item:
    return _item(
        title,
        icon,
        f"admin:{app}_{model}_changelist",
        permission=_may_view(app, model),
    )


def _item(
    title: str,
    icon: str,
    name: str,
    *,
    query: str = "",
    permission: Callable[[HttpRequest], bool] | None = None,
) -> Item:
    item: Item = {"title": title, "icon": icon, "link": reverse(name) + query}
    if permission is not None:
        item["permission"] = permission
    return item


def _may_view(app: str, model: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(f"{app}.view_{model}"))


# Unfold marks by address alone, and these two share theirs.
def _on_deliveries(request: HttpRequest) -> bool:
    return request.path.startswith(reverse(_DELIVERIES)) and not _on_parked(request)


def _on_parked(request: HttpRequest) -> bool:
    is_list = request.path == reverse(_DELIVERIES)
    return is_list and request.GET.get("status__exact") == "parked"

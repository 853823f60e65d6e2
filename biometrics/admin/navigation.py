"""The sidebar: watch, act, prove. A link that somebody may not follow is not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

Item = dict[str, Any]


def navigation(request: HttpRequest) -> list[Item]:
    """Return Unfold's navigation for this person."""
    return [_watch(), _act(), _prove()]


def _watch() -> Item:
    return _group(
        "Watch",
        _item("Dashboard", "dashboard", "admin:index"),
        _list("Alerts", "ecg_heart", "hrvalert", query="?status__exact=open"),
        _list("Deliveries", "inbox", "webhookdelivery") | {"active": _on_deliveries},
        _list("People", "group", "subject"),
        _list("Events", "event_note", "biometricevent"),
        _list("Readings", "monitor_heart", "reading"),
        _list("HRV nights", "bedtime", "hrvnight"),
    )


def _act() -> Item:
    return _group(
        "Act",
        _item(
            "Alarms",
            "notification_important",
            "admin:biometrics_staffalarm_changelist",
            query="?state=open",
            permission=_may_view("biometrics", "staffalarm"),
        ),
        _item(
            "Parked work",
            "pause_circle",
            "admin:biometrics_parked",
            permission=_may_see_parked,
        )
        | {"active": _on_parked},
        _list("Replay", "replay", "replayrun"),
        _list("Breakers", "electrical_services", "breakermode", app="resilience"),
        _list("Connections", "link", "vendorconnection"),
        _list("Vendor subscriptions", "webhook", "vendorsubscription"),
        _list("Subscriptions", "notifications", "alertsubscription"),
    )


def _prove() -> Item:
    return _group(
        "Prove",
        _item(
            "Ledger",
            "balance",
            "admin:biometrics_ledger",
            permission=_may_view("biometrics", "webhookdelivery"),
        ),
        _list("Messages", "outbox", "outboxmessage"),
        _list("Batches", "deployed_code", "publishbatch"),
        _list("Leases", "key", "shardlease"),
        _list("Signing secrets", "vpn_key", "secretuse"),
        _list("Audit", "history", "auditentry"),
        _list("Staff", "badge", "user", app="auth"),
        _list("Roles", "shield_person", "group", app="auth"),
    )


def _group(title: str, *items: Item) -> Item:
    return {"title": title, "separator": True, "items": list(items)}


def _list(
    title: str, icon: str, model: str, *, app: str = "biometrics", query: str = ""
) -> Item:
    return _item(
        title,
        icon,
        f"admin:{app}_{model}_changelist",
        query=query,
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


def _may_see_parked(request: HttpRequest) -> bool:
    return any(
        request.user.has_perm(f"biometrics.view_{model}")
        for model in ("webhookdelivery", "parkedqueue")
    )


def _on_parked(request: HttpRequest) -> bool:
    queues = reverse("admin:biometrics_parkedqueue_changelist")
    return request.path.startswith(queues)


def _on_deliveries(request: HttpRequest) -> bool:
    """Say whether the page is one of deliveries; the ledger lies below their address."""
    deliveries = reverse("admin:biometrics_webhookdelivery_changelist")
    is_ledger = request.path == reverse("admin:biometrics_ledger")
    return request.path.startswith(deliveries) and not is_ledger

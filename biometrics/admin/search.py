"""The one search box: whatever id somebody holds leads to its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from biometrics import search
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)


def results(request: HttpRequest, _lowered: str) -> list[SearchResult]:
    """Return what the term names among the kinds that this person may see.

    The theme lowers the term's letters; vendors' ids need them as they were typed.
    """
    seen = [model for model in _SHOWN if request.user.has_perm(_viewing(model))]
    return [_result(row) for row in search.find(request.GET.get("s", ""), models=seen)]


def _viewing(model: type[Model]) -> str:
    opts = model._meta  # noqa: SLF001 - Django's own way to the label
    return f"{opts.app_label}.view_{opts.model_name}"


def _result(row: Model) -> SearchResult:
    kind, icon, words = _SHOWN[type(row)]
    opts = row._meta  # noqa: SLF001
    name = f"admin:{opts.app_label}_{opts.model_name}_change"
    return SearchResult(
        title=f"{kind} {words(row)}",
        description=str(row.pk),
        link=reverse(name, args=[row.pk]),
        icon=icon,
    )


def _of_delivery(row: Any) -> str:
    return f"{row.vendor} {row.event_type}, {row.received_at:%Y-%m-%d %H:%M} UTC"


def _of_event(row: Any) -> str:
    return f"{row.vendor} {row.record_type} {row.action}"


def _of_connection(row: Any) -> str:
    return f"{row.vendor} {row.account_id}"


def _of_message(row: Any) -> str:
    return f"{row.event_type} on {row.topic}"


_SHOWN: dict[type[Model], tuple[str, str, Callable[[Any], str]]] = {
    Subject: ("Person", "person", str),
    VendorConnection: ("Connection", "link", _of_connection),
    WebhookDelivery: ("Delivery", "inbox", _of_delivery),
    BiometricEvent: ("Event", "event_note", _of_event),
    HrvAlert: ("Alert", "ecg_heart", str),
    OutboxMessage: ("Message", "outbox", _of_message),
}

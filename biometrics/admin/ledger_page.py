"""The ledger: what came in against what is there, hour by hour, with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from biometrics import balances, untold
from biometrics.admin.shown import link, list_link
from biometrics.board.accounts import accounts
from biometrics.ledger import Balance, Line
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    Subject,
    ToldChange,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin

PERMISSION = "biometrics.view_webhookdelivery"
NAME = "admin:biometrics_ledger"
TITLE = f"Ledger of {balances.HOURS} hours"
_MOST_NAMED = 50
_AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour of one vendor. `found` counts the rows that there are."""

    start: datetime
    line: Line
    found: SafeString | str
    announced: SafeString | str
    parked: SafeString | str


def show(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Show the ledger of the last day, what does not add up first.

    `?now` counts anew, which takes longer with millions of rows.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    now = timezone.now()
    if "now" in request.GET:
        balance, at = balances.count(now=now), now
    else:
        balance, at = balances.recent(now=now)
    context = {
        **admin.admin_site.each_context(request),
        "title": "Ledger",
        "sentence": sentence(balance),
        "balance": balance,
        "hours": _hours(balance),
        "unnamed": _unnamed(request, balance) if balance.imbalance else [],
        "numbers": accounts(balance, at=at)["numbers"],
        "ledger_title": TITLE,
        "again": f"{reverse(NAME)}?now",
    }
    return TemplateResponse(request, "admin/biometrics/ledger.html", context)


def sentence(balance: Balance) -> str:
    """Say whether anything is lost, and what to do if so."""
    if not balance.imbalance:
        return (
            "Nothing is lost: whatever was received is stored, a duplicate or refused."
        )
    return (
        f"{balance.imbalance} cannot be accounted for. The hours that do not add up come"
        " first; compare their rows with what the vendor says that it sent."
    )


def _hours(balance: Balance) -> list[Hour]:
    """Return the hours, those that do not add up first, then the newest."""
    keys = sorted(balance.hours, key=lambda key: (-key[0].timestamp(), key[1]))
    keys.sort(key=lambda key: balance.hours[key].imbalance == 0)
    return [_hour(start, balance.hours[start, vendor]) for start, vendor in keys]


def _hour(start: datetime, line: Line) -> Hour:
    pushed, fetched = (
        {"vendor": line.vendor, "origin__exact": origin.value, **_received(start)}
        for origin in (DeliveryOrigin.WEBHOOK, DeliveryOrigin.ANNOUNCED)
    )
    parked = line.states.get("parked", 0)
    announced = sum(line.announced.values())
    return Hour(
        start=start,
        line=line,
        found=list_link(WebhookDelivery, sum(line.states.values()), **pushed),
        announced=list_link(WebhookDelivery, announced, **fetched)
        if announced
        else "0",
        parked=list_link(WebhookDelivery, parked, status__exact="parked", **pushed)
        if parked
        else "0",
    )


def _received(start: datetime) -> dict[str, str]:
    """Return the list's own filter for one hour of intake."""
    last = start + _AN_HOUR - timedelta(seconds=1)
    return {
        "received_at_from_0": f"{start:%Y-%m-%d}",
        "received_at_from_1": f"{start:%H:%M:%S}",
        "received_at_to_0": f"{last:%Y-%m-%d}",
        "received_at_to_1": f"{last:%H:%M:%S}",
    }


def _unnamed(request: HttpRequest, balance: Balance) -> Sequence[SafeString | str]:
    """Return links to what says something new and lacks a message."""
    span = {"since": balance.since, "until": balance.until}
    rows: list[BiometricEvent | HrvAlert] = []
    if request.user.has_perm("biometrics.view_biometricevent"):
        for lacking in (untold.silent_events(**span), untold.partial_events(**span)):
            rows += lacking.order_by("created_at")[:_MOST_NAMED]
    if request.user.has_perm("biometrics.view_hrvalert"):
        rows += untold.silent_alerts(**span).order_by("updated_at")[:_MOST_NAMED]
    changes = untold.silent_changes(**span).order_by("at")[:_MOST_NAMED]
    return [*map(link, rows), *map(_changed, changes)]


def _changed(change: ToldChange) -> SafeString:
    subject = Subject.objects.filter(id=change.subject).first()
    what = f"{change.vendor} {change.change}"
    return format_html("{} of {}", what, link(subject))

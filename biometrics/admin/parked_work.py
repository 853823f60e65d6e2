"""Parked work: what is stuck, for which reason, and what to do about all of it at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from biometrics import mending, nudges, outbox, parked, parked_groups, waiting
from biometrics.admin.base import safe_next
from biometrics.admin.parked_cards import (
    CHANGE,
    account_card,
    delivery_card,
    queue_card,
    sentence,
)
from biometrics.admin.reasons import ReasonForm
from biometrics.admin.words import counted, plural
from biometrics.models import ParkedQueue, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.outbox import OutboxError
from biometrics.replay import runs
from biometrics.replay.selection import Selection

# One click goes through so many people; the next one goes on.
_MOST = 500
# Who may look at what.
VIEW = {
    "deliveries": "biometrics.view_webhookdelivery",
    "queues": "biometrics.view_parkedqueue",
}

EFFECTS: Final[Mapping[tuple[str, str], str]] = {
    ("deliveries", "retry"): "They are read again from their stored bytes with today's "
    "mapping, at the pace of replays. What they already published is not repeated; what "
    "fails again parks again.",
    (
        "deliveries",
        "skip",
    ): "They are given up: kept as ignored, with your reason. While "
    "their bytes are there, a replay can still read them.",
    (
        "queues",
        "fix",
    ): "The refused message of each person is made anew with today's code "
    "from the event, alert or delivery that it tells about, in its old place; then their "
    "queue flows. Where today's mapping reads the delivery otherwise, the delivery is read "
    "again instead and what it says now is published as a new revision.",
    (
        "queues",
        "retry",
    ): "The messages of these people are sent again from the refused one "
    "on, in order. If it is refused again, the queue parks again.",
    (
        "queues",
        "skip",
    ): "The refused message of each of these people is given up for good "
    "(it stays here as dead, with the reason); what waits behind it is sent.",
}
_WORDS = {"deliveries": ("delivery", "deliveries"), "queues": ("person", "people")}
# By an index that holds only what is parked: they are counted no further than needed.
_ORDERS = {"deliveries": ("vendor", "error_code", "id"), "queues": ("code", "since")}
_TITLES = {
    ("deliveries", "retry"): "Retry parked deliveries",
    ("deliveries", "skip"): "Skip parked deliveries",
    ("queues", "fix"): "Fix refused messages",
    ("queues", "retry"): "Retry parked messages",
    ("queues", "skip"): "Skip refused messages",
}


def show(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Show the groups that this person may see."""
    may = request.user.has_perm
    if not any(may(permission) for permission in VIEW.values()):
        raise PermissionDenied
    groups = {
        "deliveries": parked_groups.delivery_groups()
        if may(VIEW["deliveries"])
        else [],
        "queues": parked_groups.queue_groups() if may(VIEW["queues"]) else [],
        "accounts": [],
    }
    strangers = parked_groups.waiting_for_accounts()
    if strangers is not None and may(VIEW["deliveries"]):
        groups["accounts"] = [strangers]
    context = {
        **admin.admin_site.each_context(request),
        "title": "Parked work",
        "sentence": sentence(groups),
        "cards": [
            *[delivery_card(one, may=may) for one in groups["deliveries"]],
            *[queue_card(one, may=may) for one in groups["queues"]],
            *[account_card(one) for one in groups["accounts"]],
        ],
    }
    return TemplateResponse(request, "admin/biometrics/parked.html", context)


def act(
    admin: ModelAdmin[Any], request: HttpRequest, *, kind: str, verb: str
) -> HttpResponse:
    """Say what will happen and ask why; do it when a reason was posted."""
    if (kind, verb) not in EFFECTS:
        message = "There is no such verb."
        raise Http404(message)
    if not request.user.has_perm(CHANGE[kind]):
        raise PermissionDenied
    rows = _rows(request, kind)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        return _done(
            request, rows, kind=kind, verb=verb, reason=form.cleaned_data["reason"]
        )
    count = waiting.count(rows.order_by(*_ORDERS[kind]))
    context = {
        **admin.admin_site.each_context(request),
        "title": _TITLES[kind, verb],
        "effect": EFFECTS[kind, verb],
        "verb": verb.capitalize(),
        "count": waiting.told(count),
        "counted": counted(count, *_WORDS[kind]),
        "most": _MOST if kind == "queues" and count > _MOST else None,
        "form": form,
        "back": _back(request),
    }
    return TemplateResponse(request, "admin/biometrics/parked_verb.html", context)


def act_on_queues(
    request: HttpRequest, rows: QuerySet[ParkedQueue], *, verb: str, reason: str
) -> str:
    """Do a verb with each person's queue; what was refused is told beside the answer."""
    doers: Mapping[str, Callable[..., object]] = {
        "fix": mending.fix,
        "retry": outbox.retry,
        "skip": outbox.skip,
    }
    shards: set[int] = set()
    done, refused = 0, Counter[str]()
    for queue in list(rows.order_by("since")[:_MOST]):
        try:
            doers[verb](
                subject=queue.subject,
                actor=request.user.get_username(),
                reason=reason,
                now=timezone.now(),
            )
        except OutboxError as error:
            refused[str(error)] += 1
        else:
            done += 1
            shards.add(queue.shard)
    nudges.nudge_publishing(shards)
    for text, number in refused.items():
        stay = "stays" if number == 1 else "stay"
        messages.warning(request, f"{number} {stay} parked: {text}")
    return f"{plural(done, 'person', 'people')}: what waited flows again."


def _rows(request: HttpRequest, kind: str) -> QuerySet[Any]:
    """Return what the address names: one by its id, or a whole group."""
    asked = request.GET
    one, code = asked.get("id", ""), asked.get("code")
    if not one and code is None:
        message = "Choose a group on the page of parked work."
        raise Http404(message)
    if kind == "queues":
        queues = ParkedQueue.objects.all()
        return queues.filter(pk=_number(one)) if one else queues.filter(code=code)
    if one:
        return parked.parked_deliveries().filter(public_id=_uuid(one))
    return parked.parked_deliveries(vendor=asked.get("vendor", ""), code=code)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise Http404
    return int(text)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def _done(
    request: HttpRequest, rows: QuerySet[Any], *, kind: str, verb: str, reason: str
) -> HttpResponse:
    if kind == "queues":
        messages.info(request, act_on_queues(request, rows, verb=verb, reason=reason))
        return HttpResponseRedirect(_back(request))
    signed: dict[str, Any] = {
        "actor": request.user.get_username(),
        "reason": reason,
        "now": timezone.now(),
    }
    if verb == "skip":
        count = parked.skip_deliveries(rows, **signed)
        messages.success(request, f"{plural(count, 'delivery', 'deliveries')} skipped.")
        return HttpResponseRedirect(_back(request))
    run = runs.begin(_selection(request, rows), **signed)
    return HttpResponseRedirect(
        reverse("admin:biometrics_replayrun_change", args=[run.pk])
    )


def _back(request: HttpRequest) -> str:
    """Return the page that led here, where it said so."""
    return safe_next(request, default=reverse("admin:biometrics_parked"))


def _selection(request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> Selection:
    asked = request.GET
    if asked.get("id") or not asked.get("code"):
        ids = rows.order_by("id").values_list("public_id", flat=True)
        return Selection(ids=tuple(ids[:_MOST]))
    return Selection(
        vendor=asked.get("vendor", ""),
        status=DeliveryStatus.PARKED,
        error_code=asked["code"],
    )

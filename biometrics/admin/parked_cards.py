"""The cards of parked work: one for each reason, with what happened and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from biometrics.admin.shown import link
from biometrics.admin.words import counted
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import ParkCode
from biometrics.parked_groups import Group
from biometrics.waiting import told as said

# Who may act on what.
CHANGE = {
    "deliveries": "biometrics.change_webhookdelivery",
    "queues": "biometrics.change_parkedqueue",
}


def sentence(groups: Mapping[str, list[Group]]) -> str:
    """Say what is stuck, in one sentence."""
    strangers = sum(group.count for group in groups["accounts"])
    deliveries = sum(group.count for group in groups["deliveries"])
    people = sum(group.count for group in groups["queues"])
    waiting = sum(group.messages for group in groups["queues"])
    if not deliveries and not people and not strangers:
        return "Nothing is parked."
    told = []
    if deliveries:
        told.append(
            f"{counted(deliveries, 'delivery', 'deliveries')} could not be read"
        )
    if people:
        told.append(
            f"{counted(waiting, 'message', 'messages')} of "
            f"{counted(people, 'person', 'people')} could not be sent"
        )
    if strangers:
        many = counted(strangers, "delivery", "deliveries")
        wait = "waits for its account" if strangers == 1 else "wait for their account"
        told.append(f"{many} {wait}")
    return f"{'; '.join(told)}. Everything else flows."


def delivery_card(group: Group, *, may: Callable[[str], bool]) -> dict[str, Any]:
    """Return the card of parked deliveries."""
    where = {"vendor": group.vendor, "code": group.code}
    verbs = []
    if may(CHANGE["deliveries"]):
        if group.readable > 1:
            one = group.oldest.public_id
            verbs.append(_button("deliveries", "retry", "Try one", id=one))
        if group.readable:
            verbs.append(
                _button("deliveries", "retry", f"Retry {said(group.readable)}", **where)
            )
        verbs.append(
            _button("deliveries", "skip", f"Skip {said(group.count)}", **where)
        )
    listed = reverse("admin:biometrics_webhookdelivery_changelist")
    query = {"status__exact": DeliveryStatus.PARKED, **_filters(group)}
    return {
        "kind": "deliveries",
        "count": counted(group.count, "delivery", "deliveries"),
        "title": f"{group.vendor}: {group.reason.title}",
        "group": group,
        "example": link(group.oldest, group.oldest.error or group.code),
        "list": f"{listed}?{urlencode(query)}",
        "verbs": verbs,
    }


def account_card(group: Group) -> dict[str, Any]:
    """Return the card of deliveries whose account nobody has connected."""
    listed = reverse("admin:biometrics_webhookdelivery_changelist")
    query = urlencode({"status__exact": DeliveryStatus.UNLINKED})
    return {
        "kind": "accounts",
        "count": counted(group.count, "delivery", "deliveries"),
        "title": group.reason.title,
        "group": group,
        "example": link(group.oldest, group.oldest.error or group.code),
        "list": f"{listed}?{query}",
        "verbs": [],
    }


def _filters(group: Group) -> dict[str, str]:
    return {"vendor": group.vendor, "error_code": group.code}


def queue_card(group: Group, *, may: Callable[[str], bool]) -> dict[str, Any]:
    """Return the card of people whose messages are parked."""
    verbs = []
    if may(CHANGE["queues"]):
        is_refused = group.code != ParkCode.HELD_BACK
        if is_refused and group.count > 1:
            verbs.append(_button("queues", "fix", "Fix one", id=group.oldest.pk))
        if is_refused:
            verbs.append(
                _button("queues", "fix", f"Fix {said(group.count)}", code=group.code)
            )
        verbs.append(
            _button("queues", "retry", f"Retry {said(group.count)}", code=group.code)
        )
        verbs.append(
            _button("queues", "skip", f"Skip {said(group.count)}", code=group.code)
        )
    listed = reverse("admin:biometrics_parkedqueue_changelist")
    return {
        "kind": "queues",
        "count": f"{counted(group.count, 'person', 'people')}, "
        f"{counted(group.messages, 'message', 'messages')}",
        "title": f"Messages: {group.reason.title}",
        "group": group,
        "example": link(group.oldest, group.oldest.reason),
        "list": f"{listed}?{urlencode({'code__exact': group.code})}",
        "verbs": verbs,
    }


def _button(kind: str, verb: str, text: str, **query: object) -> dict[str, str]:
    address = reverse("admin:biometrics_parked_verb", args=[kind, verb])
    return {
        "text": text,
        "url": f"{address}?{urlencode(query)}",
        "variant": "default" if verb == "skip" else "secondary",
    }

"""What of a person lies in rows that do not hang on theirs: deliveries, replays, audit."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.db.models import Q

from biometrics import audit
from biometrics.intake.rows import PAYLOAD, announcement_in, payload_id
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    HrvAlert,
    ReplayRun,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.keyed import row_in

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Acts whose target or detail may name people, their alerts or their deliveries.
_NAMING = (
    *("values.reveal", "alert.acknowledge", "audit.export", "connection.relink"),
    *("delivery.retry", "delivery.skip", "delivery.replay", "replay.cancel"),
)


def deliveries_about(
    subject: Subject, connections: Sequence[VendorConnection]
) -> dict[int, UUID]:
    """Return what came for the person's accounts, and what spoke of them before.

    An account that was linked to somebody else since is not theirs any more, but what it
    brought is: what it said, and what it may have meant to say before that day. What
    announced a payload of theirs names no account, and is theirs too. By the row's id
    the public one.
    """
    said = BiometricEvent.objects.filter(subject=subject)
    # One query each: joined by OR they would read the whole table.
    found = dict(said.values_list("delivery_id", "delivery__public_id").distinct())
    rows = WebhookDelivery.objects.values_list("id", "public_id")
    if connections:
        keys = [(row.vendor, row.account_id) for row in connections]
        found |= dict(rows.filter(row_in(columns=("vendor", "account_id"), keys=keys)))
    for account, until in _handed_on(subject):
        found |= dict(rows.filter(**account, received_at__lt=until, events=None))
    return found | _announcements_of(found)


def forget_replays(
    subject: Subject,
    connections: Sequence[VendorConnection],
    *,
    deliveries: Collection[str],
) -> set[int]:
    """Take the person out of what staff chose for replays; return which those were.

    A replay of the person goes; one of chosen deliveries goes on with the others.
    """
    named = Q(selection__subject=str(subject.pk))
    named |= Q(selection__account_id__in=[row.account_id for row in connections])
    gone = set(ReplayRun.objects.filter(named).values_list("pk", flat=True))
    touched = set(gone)
    for run in ReplayRun.objects.filter(selection__ids__isnull=False).iterator():
        left = [one for one in run.selection["ids"] if one not in deliveries]
        if len(left) == len(run.selection["ids"]):
            continue
        touched.add(run.pk)
        if not left:
            gone.add(run.pk)
            continue
        run.selection = {**run.selection, "ids": left}
        run.reason = audit.ERASED if run.reason else ""
        run.save(update_fields=["selection", "reason"])
    ReplayRun.objects.filter(pk__in=gone).delete()
    return touched


def blank_audit(
    subject: Subject,
    connections: Sequence[VendorConnection],
    *,
    deliveries: Collection[str],
    runs: Collection[int],
) -> None:
    """Keep of what was done with the person's data who did what and when, not why.

    Reasons are free text, and what staff found may be said in one. Of an act on many
    people's rows the ids of the others stay. `deliveries` are public ids.
    """
    alerts = HrvAlert.objects.filter(subject=subject).values_list("pk", flat=True)
    mine = {str(subject.pk), *deliveries, *map(str, alerts)}
    of_alerts = {f"alert {key}" for key in alerts}
    targets = [
        *audit.spellings(subject.pk),
        *(f"connection {c.pk}" for c in connections),
    ]
    AuditEntry.objects.filter(target__in=targets).update(reason=audit.ERASED, detail={})
    replays = {f"replay {pk}" for pk in runs}
    for entry in _naming(mine, label=subject.label, replays=replays):
        entry.reason = audit.ERASED
        entry.detail = _without(entry.detail, mine)
        if entry.target in of_alerts:
            # Its id is made of the person and the night.
            entry.target = "alert"
        entry.save(update_fields=["reason", "detail", "target"])


def _announcements_of(payloads: Mapping[int, UUID]) -> dict[int, UUID]:
    """Return what announced these of the deliveries that were fetched from an address.

    A vendor chooses the end of the key of what it pushes, not the id that proves it.
    """
    mine = WebhookDelivery.objects.filter(id__in=payloads)
    keys = mine.filter(dedupe_key__contains=PAYLOAD).values_list(
        "dedupe_key", flat=True
    )
    named = {found for key in keys if (found := announcement_in(key)) is not None}
    fetched = set(payloads.values())
    rows = WebhookDelivery.objects.filter(public_id__in=named)
    return {
        key: announcement
        for key, announcement, vendor in rows.values_list("id", "public_id", "vendor")
        if payload_id(vendor=vendor, announcement=announcement) in fetched
    }


def _handed_on(subject: Subject) -> Iterator[tuple[dict[str, str], datetime]]:
    """Yield the accounts of the person that became another one's, and when."""
    for entry in AuditEntry.objects.filter(verb="connection.relink").iterator():
        if entry.detail.get("from") != str(subject.pk):
            continue
        number = entry.target.rpartition(" ")[2]
        for row in VendorConnection.objects.filter(pk=number):
            account = {"vendor": row.vendor, "account_id": row.account_id}
            yield account, entry.at


def _naming(
    mine: AbstractSet[str], *, label: str, replays: Collection[str]
) -> Iterator[AuditEntry]:
    """Yield the entries that name one of these ids or replays, or were searched by it."""
    rows = AuditEntry.objects.filter(verb__in=_NAMING)
    named = []
    for pk, target, detail in rows.values_list("pk", "target", "detail").iterator():
        searched = parse_qs(str(detail.get("filters", ""))).get("q", [])
        if (
            not mine.isdisjoint(_ID.findall(f"{target} {detail}"))
            or target.partition(":")[0] in replays
            or label in searched
        ):
            named.append(pk)
    yield from AuditEntry.objects.filter(pk__in=named).order_by("pk")


def _without(detail: dict[str, Any], mine: AbstractSet[str]) -> dict[str, Any]:
    """Return what the detail says of others; nothing where it speaks of nobody else."""
    left: dict[str, Any] = _pruned(detail, mine)
    return left if _ID.search(json.dumps(left)) else {}


def _pruned(value: Any, mine: AbstractSet[str]) -> Any:
    if isinstance(value, list):
        return [one for one in value if one not in mine]
    if isinstance(value, dict):
        kept = {
            k: v for k, v in value.items() if not isinstance(v, str) or v not in mine
        }
        return {name: _pruned(one, mine) for name, one in kept.items()}
    return value

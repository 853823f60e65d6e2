"""Reading stored deliveries again with today's mapping: what would change, then doing it.

A replayed delivery takes the ordinary way: it becomes due. What it says again is told
apart by its content, so only what changed is stored and published. Documents that were
fetched for it are used as they lie; what never came is fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from biometrics import audit, deliveries, nudges
from biometrics.connections import registry
from biometrics.items import Item, open_item
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.normalise import revisions
from biometrics.normalise.understanding import understand

_BATCH = 200
# What waits or is due comes by itself; what was erased must not.
_REPLAYABLE = (
    DeliveryStatus.PROCESSED,
    DeliveryStatus.PARKED,
    DeliveryStatus.IGNORED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries: everything that is given must hold. Times are of receipt."""

    vendor: str = ""
    account_id: str = ""
    status: str = ""
    error_code: str = ""
    since: datetime | None = None
    until: datetime | None = None
    ids: Sequence[UUID] = ()

    def rows(self) -> QuerySet[WebhookDelivery]:
        """Return the deliveries meant that can be replayed."""
        wanted = Q(status__in=_REPLAYABLE, body__isnull=False)
        for name in ("vendor", "account_id", "status", "error_code"):
            if getattr(self, name):
                wanted &= Q(**{name: getattr(self, name)})
        if self.since is not None:
            wanted &= Q(received_at__gte=self.since)
        if self.until is not None:
            wanted &= Q(received_at__lt=self.until)
        if self.ids:
            wanted &= Q(public_id__in=list(self.ids))
        return WebhookDelivery.objects.filter(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a replay would do: records by (vendor, type, outcome), deliveries by fate."""

    records: Counter[tuple[str, str, str]]
    deliveries: Counter[tuple[str, str]]

    @property
    def changed(self) -> int:
        """How many records would be stored and published anew."""
        new = revisions.Outcome.NEW
        return sum(n for (_, _, outcome), n in self.records.items() if outcome == new)


def count(selection: Selection) -> dict[tuple[str, str], int]:
    """Return how many deliveries are meant, by vendor and status."""
    rows = selection.rows().values_list("vendor", "status").annotate(n=Count("id"))
    return {(vendor, status): n for vendor, status, n in rows.order_by()}


def preview(selection: Selection) -> Preview:
    """Read the deliveries meant with today's mapping and compare; nothing is written.

    Deliveries are compared with what is stored now, in portions: of several new
    revisions of one record each counts.
    """
    found = Preview(records=Counter(), deliveries=Counter())
    for rows in _portions(selection):
        kept = deliveries.documents_of([row.id for row in rows])
        items = [open_item(row, documents=kept.get(row.id)) for row in rows]
        _compare(items, found=found)
    return found


def replay(
    selection: Selection, *, actor: str, reason: str, now: datetime
) -> dict[tuple[str, str], int]:
    """Make the deliveries meant due again; return how many, by vendor and status.

    Raises ReasonMissingError.
    """
    with transaction.atomic():
        counted = count(selection)
        shards = set(selection.rows().values_list("shard", flat=True).distinct())
        selection.rows().update(
            status=DeliveryStatus.PENDING,
            attempts=0,
            unfinished=0,
            next_attempt_at=None,
            error_code="",
            error="",
            processed_at=None,
        )
        audit.note(
            actor=actor,
            verb="delivery.replay",
            target=f"{sum(counted.values())} deliveries",
            reason=reason,
            now=now,
            detail={f"{vendor} {status}": n for (vendor, status), n in counted.items()},
        )
        transaction.on_commit(lambda: nudges.nudge_processing(shards))
    return counted


def _portions(selection: Selection) -> Iterator[list[WebhookDelivery]]:
    last = 0
    while rows := list(selection.rows().filter(id__gt=last).order_by("id")[:_BATCH]):
        yield rows
        last = rows[-1].id


def _compare(items: Sequence[Item], *, found: Preview) -> None:
    known = registry.lookup(item.account for item in items)
    claims: list[revisions.Claim] = []
    for item in items:
        item.connection = known.get(item.account)
        found.deliveries[item.delivery.vendor, _fate(item)] += 1
        claims += item.claims() if item.connection is not None else ()
    for ruling in revisions.compare(claims).rulings:
        record_type = ruling.claim.statement.record.record_type
        key = (ruling.claim.adapter.slug, record_type, ruling.outcome.value)
        found.records[key] += 1


def _fate(item: Item) -> str:
    if item.disposition is not None:
        return item.disposition.code
    if item.is_to_fetch:
        return "to_fetch"
    item.understood = understand(item.stored, adapter=item.adapter)
    said = item.understood
    if said.statements and item.connection is None:
        return "unlinked"
    return said.disposition.code or said.disposition.status

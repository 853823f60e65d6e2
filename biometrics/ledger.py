"""The loss ledger: what intake counted against what the tables hold.

Intake writes a counter in the same transaction as the rows that it counts. The rows are
counted independently here. Received = stored + duplicate + rejected, and stored = the
sum over the states of the deliveries, for each hour and vendor; every event that says
something new has as many messages as it was cut into, and every change of an alert or
a connection has one. What does not add up is lost or invented: the imbalance must be 0.
A payload that a webhook announced counts with the hour of its announcement, beside what
was received: each announcement that is processed must have one. What nobody told us of
is no intake; the records that became known in this way are counted apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import (
    Count,
    F,
    Sum,
)
from django.db.models.functions import TruncHour

from biometrics import ledger_rows, untold
from biometrics.models import (
    IntakeCount,
    OutboxMessage,
)
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus, IntakeOutcome
from biometrics.models.outbox import MessageStatus

_WAITING = (MessageStatus.PENDING, MessageStatus.IN_BATCH, MessageStatus.PARKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One vendor's deliveries and events, of one hour or of several.

    `states` counts deliveries by status, `announced` in the same way what lay at the
    addresses that some of them name, `silent_events` the events that say something new
    and lack a message. `recovered` are records that no webhook brought or announced and
    reconciliation found, `backfilled` those of a history: each counts once, and not at
    all when a webhook had said the same.
    """

    vendor: str
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    announced: Mapping[str, int] = field(default_factory=dict)
    unfetched: int = 0
    silent_events: int = 0
    recovered: int = 0
    backfilled: int = 0
    imbalance: int = 0

    @property
    def received(self) -> int:
        """Every request that intake answered for this vendor."""
        return self.stored + self.duplicate + self.rejected

    def count(self, status: str) -> int:
        """Return how many deliveries and announced payloads have this state."""
        return self.states.get(status, 0) + self.announced.get(status, 0)

    @property
    def waiting(self) -> int:
        """Deliveries that wait for a worker, an account, a document or a vendor."""
        return sum(
            self.count(status)
            for status in (
                DeliveryStatus.PENDING,
                DeliveryStatus.RETRYING,
                DeliveryStatus.UNLINKED,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The ledger over a period that starts and ends with full hours.

    `hours` holds a line for each hour and vendor: what is lost in one hour must not be
    made good by what is invented in another. `messages` counts by state: published in
    this period, or waiting now. `silent_alerts` and `silent_changes` are alerts and
    connections that changed without a message.
    """

    since: datetime
    until: datetime
    hours: Mapping[tuple[datetime, str], Line]
    messages: Mapping[str, int] = field(default_factory=dict)
    silent_alerts: int = 0
    silent_changes: int = 0

    @property
    def imbalance(self) -> int:
        """What cannot be accounted for; 0 or something is wrong."""
        of_lines = sum(line.imbalance for line in self.hours.values())
        return of_lines + self.silent_alerts + self.silent_changes

    @property
    def total(self) -> Line:
        """Return one line over all hours and vendors; it names no vendor."""
        return _sum("", list(self.hours.values()))

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the vendors' lines over all hours, with the sum of their imbalances."""
        vendors = sorted({vendor for _, vendor in self.hours})
        return tuple(
            _sum(
                vendor, [line for line in self.hours.values() if line.vendor == vendor]
            )
            for vendor in vendors
        )


def balance(*, now: datetime, hours: int) -> Balance:
    """Return the ledger of the last `hours` full hours and the running one."""
    until = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return between(since=until - timedelta(hours=hours + 1), until=until)


def between(*, since: datetime, until: datetime, vendor: str = "") -> Balance:
    """Return the ledger from one full hour to another, of one vendor or of all."""
    span = {"since": since, "until": until}
    changes = untold.silent_changes(**span)
    if vendor:
        changes = changes.filter(vendor=vendor)
    with transaction.atomic():
        return Balance(
            **span,
            hours=_hours(**span, vendor=vendor),
            messages={} if vendor else _messages(**span),
            silent_alerts=0 if vendor else untold.silent_alerts(**span).count(),
            silent_changes=changes.count(),
        )


def _messages(*, since: datetime, until: datetime) -> dict[str, int]:
    """Count what was published in a period, and what waits now however old it is."""
    published = OutboxMessage.objects.filter(
        status=MessageStatus.PUBLISHED, published_at__gte=since, published_at__lt=until
    )
    waiting = OutboxMessage.objects.filter(status__in=_WAITING)
    counts, more = (
        rows.order_by().values_list("status").annotate(n=Count("id"))
        for rows in (published, waiting)
    )
    return dict(counts.union(more, all=True))


def _hours(
    *, since: datetime, until: datetime, vendor: str
) -> dict[tuple[datetime, str], Line]:
    queries = ledger_rows.counts(since=since, until=until)
    if vendor:
        queries = [query.filter(vendor=vendor) for query in queries]
    # One statement, so one snapshot: counters and rows of a commit are seen together.
    rows = queries[0].union(*queries[1:], all=True)
    sums: dict[tuple[datetime, str], dict[str, dict[str, int]]] = defaultdict(
        lambda: {source: {} for source in ledger_rows.SOURCES}
    )
    for source, hour, name, what, n in rows:
        sums[hour, name][source][what] = n
    return {key: _line(key[1], sources) for key, sources in sorted(sums.items())}


def _line(vendor: str, sources: Mapping[str, Mapping[str, int]]) -> Line:
    counted, found, announced, leading, silent, fetched = (
        sources[name] for name in ledger_rows.SOURCES
    )
    stored, unsaid = counted.get(IntakeOutcome.STORED, 0), sum(silent.values())
    # While one is replayed it leads nowhere for a moment: then there is one too many.
    unfetched = max(0, sum(leading.values()) - sum(announced.values()))
    return Line(
        vendor=vendor,
        stored=stored,
        duplicate=counted.get(IntakeOutcome.DUPLICATE, 0),
        rejected=counted.get(IntakeOutcome.REJECTED, 0),
        states=found,
        announced=announced,
        unfetched=unfetched,
        silent_events=unsaid,
        recovered=fetched.get(DeliveryOrigin.RECOVERED, 0),
        backfilled=fetched.get(DeliveryOrigin.BACKFILL, 0),
        imbalance=abs(stored - sum(found.values())) + unfetched + unsaid,
    )


def _sum(vendor: str, lines: Sequence[Line]) -> Line:
    states: Counter[str] = Counter()
    announced: Counter[str] = Counter()
    for line in lines:
        states.update(line.states)
        announced.update(line.announced)
    return Line(
        vendor=vendor,
        stored=sum(line.stored for line in lines),
        duplicate=sum(line.duplicate for line in lines),
        rejected=sum(line.rejected for line in lines),
        states=states,
        announced=announced,
        unfetched=sum(line.unfetched for line in lines),
        silent_events=sum(line.silent_events for line in lines),
        recovered=sum(line.recovered for line in lines),
        backfilled=sum(line.backfilled for line in lines),
        imbalance=sum(line.imbalance for line in lines),
    )


def roll_up(*, before: datetime) -> int:
    """Fold counters of hours that ended before `before` into one row an hour.

    Returns how many rows were folded. Nothing writes to such hours any more.
    """
    limit = before.replace(minute=0, second=0, microsecond=0)
    with transaction.atomic():
        old = (
            IntakeCount.objects.select_for_update()
            .filter(period__lt=limit)
            .exclude(process="")
        )
        ids = list(old.values_list("id", flat=True))
        hours = (
            IntakeCount.objects.filter(id__in=ids)
            .values("vendor", "outcome", hour=TruncHour("period"))
            .annotate(n=Sum("count"))
        )
        for row in list(hours):
            hour, _ = IntakeCount.objects.get_or_create(
                process="",
                period=row["hour"],
                vendor=row["vendor"],
                outcome=row["outcome"],
            )
            IntakeCount.objects.filter(id=hour.id).update(count=F("count") + row["n"])
        IntakeCount.objects.filter(id__in=ids).delete()
    return len(ids)

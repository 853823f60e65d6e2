"""The loss ledger: what intake counted against what the tables hold.

Intake writes a counter in the same transaction as the rows that it counts. The rows are
counted independently here. Received = stored + duplicate + rejected, and stored = the
sum over the states of the deliveries; every event that says something new has a message.
What does not add up is lost or invented: the imbalance must be 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Sum, Value
from django.db.models.functions import TruncHour

from biometrics.models import (
    BiometricEvent,
    IntakeCount,
    OutboxMessage,
    WebhookDelivery,
)
from biometrics.models.events import EventStatus
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus, IntakeOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLine:
    """One vendor's deliveries in the period."""

    vendor: str
    stored: int
    duplicate: int
    rejected: int
    states: Mapping[str, int]

    @property
    def received(self) -> int:
        """Every request that intake answered for this vendor."""
        return self.stored + self.duplicate + self.rejected

    @property
    def waiting(self) -> int:
        """Deliveries that wait for an account, a document or a vendor."""
        return self.states.get(DeliveryStatus.UNLINKED, 0) + self.states.get(
            DeliveryStatus.RETRYING, 0
        )

    @property
    def imbalance(self) -> int:
        """Deliveries counted but not found, or found but not counted."""
        return abs(self.stored - sum(self.states.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The ledger over a period that starts and ends with full hours."""

    since: datetime
    until: datetime
    lines: tuple[VendorLine, ...]
    messages: Mapping[str, int] = field(default_factory=dict)
    events_without_message: int = 0

    @property
    def imbalance(self) -> int:
        """What cannot be accounted for; 0 or something is wrong."""
        return sum(line.imbalance for line in self.lines) + self.events_without_message


def balance(*, now: datetime, hours: int) -> Balance:
    """Return the ledger of the last `hours` full hours and the running one."""
    until = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    since = until - timedelta(hours=hours + 1)
    with transaction.atomic():
        silent = (
            BiometricEvent.objects.filter(created_at__gte=since, created_at__lt=until)
            .exclude(status=EventStatus.STALE)
            .filter(messages=None)
            .count()
        )
        messages = dict(
            OutboxMessage.objects.filter(created_at__gte=since, created_at__lt=until)
            .values_list("status")
            .annotate(n=Count("id"))
        )
        return Balance(
            since=since,
            until=until,
            lines=_lines(since=since, until=until),
            messages=messages,
            events_without_message=silent,
        )


def _lines(*, since: datetime, until: datetime) -> tuple[VendorLine, ...]:
    counted = (
        IntakeCount.objects.filter(period__gte=since, period__lt=until)
        .values_list(Value("counted"), "vendor", "outcome")
        .annotate(n=Sum("count"))
    )
    found = (
        WebhookDelivery.objects.filter(
            received_at__gte=since,
            received_at__lt=until,
            origin=DeliveryOrigin.WEBHOOK,
        )
        .values_list(Value("found"), "vendor", "status")
        .annotate(n=Count("id"))
    )
    # One statement, so one snapshot: counters and rows of a commit are seen together.
    sums: dict[str, dict[str, dict[str, int]]] = defaultdict(
        lambda: {"counted": {}, "found": {}}
    )
    for source, vendor, name, n in counted.union(found, all=True):
        sums[vendor][source][name] = n
    return tuple(
        VendorLine(
            vendor=vendor,
            stored=sources["counted"].get(IntakeOutcome.STORED, 0),
            duplicate=sources["counted"].get(IntakeOutcome.DUPLICATE, 0),
            rejected=sources["counted"].get(IntakeOutcome.REJECTED, 0),
            states=sources["found"],
        )
        for vendor, sources in sorted(sums.items())
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

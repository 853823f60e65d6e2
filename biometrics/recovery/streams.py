"""How often each stream of a connection speaks, and whether it has gone silent.

A stream is one record type of one connection, or a finer part that its vendor names: of
samples, each metric. Its cadence is taken from what its records speak of, so neither a
failed fetch nor a late correction makes it look alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Case, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, StrIndex, Substr, TruncDate

from biometrics.models import BiometricEvent, VendorConnection
from biometrics.models.events import EventAction, EventStatus
from biometrics.vendors.registry import get_adapter

_LOOK_BACK = timedelta(days=120)
# Fewer days tell no cadence.
_FEWEST_DAYS = 6
_MOST_DAYS = 30
_SHORTEST = timedelta(hours=36)
# A night's sleep ends, is synced and is scored at another hour each day.
_SLACK = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is known of one stream: its newest moment, and its usual gap.

    `usual_gap` is the gap between days with records that nine of ten do not exceed;
    None while there are too few to tell.
    """

    name: str
    newest: datetime
    usual_gap: timedelta | None

    @property
    def limit(self) -> timedelta | None:
        """Return how long it may say nothing."""
        if self.usual_gap is None:
            return None
        return max(_SHORTEST, 2 * self.usual_gap + _SLACK)

    def is_quiet(self, *, now: datetime) -> bool:
        """Say whether it has said nothing for longer than it ever does."""
        return self.limit is not None and now - self.newest > self.limit


def streams_of(connection: VendorConnection, *, now: datetime) -> list[Stream]:
    """Return the streams of a connection that spoke in the last 120 days."""
    days: defaultdict[str, dict[date, datetime]] = defaultdict(dict)
    for name, day, newest in _spoken(connection, now=now):
        days[name][day] = newest or datetime.combine(day, time(), tzinfo=UTC)
    return [
        Stream(
            name=name,
            newest=max(its.values()),
            usual_gap=_usual_gap(sorted(its)[-_MOST_DAYS:]),
        )
        for name, its in sorted(days.items())
    ]


def _spoken(
    connection: VendorConnection, *, now: datetime
) -> QuerySet[Any, tuple[str, date, datetime | None]]:
    """Return on which days each stream spoke, with the newest moment of the day.

    Counted by the database: a phone says thousands of things a month. What has no date
    of the person's has a moment, and is of its day in UTC.
    """
    name = Case(
        When(
            record_type__in=get_adapter(connection.vendor).id_streams,
            then=Substr("record_id", 1, StrIndex("record_id", Value(":")) - 1),
        ),
        default=F("record_type"),
    )
    # What a device dates into the future must not keep its stream alive.
    latest = now + timedelta(days=1)
    rows = BiometricEvent.objects.filter(
        connection=connection, status=EventStatus.CURRENT
    ).exclude(action=EventAction.DELETED)
    dated = rows.annotate(
        name=name,
        moment=Coalesce("end", "start"),
        day=Coalesce("local_date", TruncDate(Coalesce("end", "start"), tzinfo=UTC)),
    ).filter(
        Q(moment__lte=latest) | Q(moment=None, local_date__lte=latest.date()),
        day__gte=(now - _LOOK_BACK).date(),
    )
    return dated.values_list("name", "day").annotate(newest=Max("moment"))


def _usual_gap(days: Sequence[date]) -> timedelta | None:
    if len(days) < _FEWEST_DAYS:
        return None
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    return gaps[(len(gaps) * 9 + 9) // 10 - 1]

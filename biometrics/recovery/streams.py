"""How often each stream of a connection speaks, and whether it has gone silent.

A stream is one record type of one connection, or a finer part that its vendor names: of
samples, each metric. Its cadence is taken from what its records speak of, so neither a
failed fetch nor a late correction makes it look alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.db.models import Q

from biometrics.models import BiometricEvent
from biometrics.models.events import EventAction, EventStatus
from biometrics.recovery.fetching import dated
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


def streams_of(connection_id: int, *, now: datetime) -> list[Stream]:
    """Return the streams of a connection that spoke in the last 120 days."""
    rows = (
        BiometricEvent.objects.filter(
            _since(now - _LOOK_BACK),
            connection=connection_id,
            status=EventStatus.CURRENT,
        )
        .exclude(action=EventAction.DELETED)
        .values_list("vendor", "record_type", "record_id", "start", "end", "local_date")
    )
    moments: defaultdict[str, dict[date, datetime]] = defaultdict(dict)
    for vendor, record_type, record_id, start, end, day in rows.iterator():
        moment = dated(start=start, end=end, day=day)
        # What a device dates into the future must not keep its stream alive.
        if moment is not None and moment <= now + timedelta(days=1):
            name = get_adapter(vendor).stream_of(record_type, record_id=record_id)
            days, its_day = moments[name], day or moment.date()
            days[its_day] = max(days.get(its_day, moment), moment)
    return [
        Stream(
            name=name,
            newest=max(days.values()),
            usual_gap=_usual_gap(sorted(days)[-_MOST_DAYS:]),
        )
        for name, days in sorted(moments.items())
    ]


def _since(moment: datetime) -> Q:
    """Choose what is not older; a record may have no date, but a time all the same."""
    is_undated = Q(local_date=None)
    return (
        Q(local_date__gte=moment.date())
        | is_undated & Q(end__gte=moment)
        | is_undated & Q(end=None, start__gte=moment)
    )


def _usual_gap(days: Sequence[date]) -> timedelta | None:
    if len(days) < _FEWEST_DAYS:
        return None
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    return gaps[(len(gaps) * 9 + 9) // 10 - 1]

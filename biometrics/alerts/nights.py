"""One night of one series: what may be stored, and which of two versions stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias

from biometrics.alerts.ruleset import Corroborator, Kind, Ruleset
from biometrics.vendors.times import in_offset

Change: TypeAlias = Literal["stale", "unchanged", "revised"]

_NEVER = datetime.min.replace(tzinfo=UTC)
# How far a sender's clock may run before ours.
_CLOCK_SKEW = timedelta(minutes=15)
_EASTERNMOST = timedelta(hours=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """The main sleep that ended on the local date `night`; None is a missing value.

    `record_id` is the vendor's id of the sleep, `updated_at` the vendor's stamp and
    `received_at` ours: together they decide which of two versions stands.
    """

    night: date
    value_ms: float | None = None
    rhr_bpm: float | None = None
    rr_brpm: float | None = None
    temp_c: float | None = None
    sleep_s: float | None = None
    record_id: str = ""
    updated_at: datetime | None = None
    received_at: datetime | None = None

    @property
    def says_something(self) -> bool:
        """Whether any of the night's values is there."""
        values = (self.value_ms, self.rhr_bpm, self.rr_brpm, self.temp_c)
        return any(value is not None for value in values)


def clean_night(
    *,
    night: date,
    kind: Kind,
    ruleset: Ruleset,
    value_ms: float | None = None,
    rhr_bpm: float | None = None,
    rr_brpm: float | None = None,
    temp_c: float | None = None,
    sleep_s: float | None = None,
    scored: bool = True,
    calibrating: bool = False,
    record_id: str = "",
    updated_at: datetime | None = None,
    received_at: datetime | None = None,
) -> Night:
    """Return a night whose every value is believable or missing, none imputed.

    A vendor that has not scored the night, is still calibrating to the person, or saw
    less than the shortest main sleep says nothing about that night at all. Naps are not
    nights: do not call this for them, an empty night would hide the real one.
    """
    short = sleep_s is not None and not sleep_s >= ruleset.minimum_sleep_h * 3600
    silent = short or calibrating or not scored
    hrv = ruleset.hrv(kind)
    return Night(
        night=night,
        value_ms=None if silent else within(value_ms, hrv.minimum, hrv.maximum),
        rhr_bpm=None if silent else believable(rhr_bpm, ruleset.rhr),
        rr_brpm=None if silent else believable(rr_brpm, ruleset.rr),
        temp_c=None if silent else believable(temp_c, ruleset.temp),
        sleep_s=sleep_s,
        record_id=record_id,
        updated_at=updated_at,
        received_at=received_at,
    )


def within(value: object, low: float, high: float) -> float | None:
    """Return `value` as a float where it is a number in the range, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def believable(value: object, signal: Corroborator) -> float | None:
    """Return `value` where it lies in the signal's range or is a fair deviation."""
    found = within(value, signal.minimum, signal.maximum)
    if found is None and signal.deviation_limit > 0:
        found = within(value, -signal.deviation_limit, signal.deviation_limit)
    return found


def is_future(
    *, night: date, ended: datetime | None, zone_offset: str | None, now: datetime
) -> bool:
    """Tell whether `night` cannot have happened yet where the person is.

    `ended` is the end of the sleep where it is known; without a `zone_offset` it is the
    person's wall time marked as UTC, and the wall may be as far ahead as any on earth.
    A vendor may count a sleep that ended in the evening towards the next date.
    """
    ahead = _CLOCK_SKEW + (timedelta() if zone_offset else _EASTERNMOST)
    if ended is not None:
        woke = in_offset(ended, zone_offset)
        latest = (ended.date() if woke is None else woke.local_date) + timedelta(days=1)
        return ended > now + ahead or night > latest
    local = in_offset(now + _CLOCK_SKEW, zone_offset)
    today = (now.astimezone(UTC) + ahead).date() if local is None else local.local_date
    return night > today


def compare(*, stored: Night, incoming: Night, kind: Kind, ruleset: Ruleset) -> Change:
    """Say what `incoming` does to `stored` (same series, same night).

    `stale`: an older version, or not the main sleep of the night; drop it.
    `unchanged`: newer, but within the dead band; keep the stored values.
    `revised`: store it under the next revision and judge the following nights again.
    """
    if _rank(incoming, beside=stored) < _rank(stored, beside=incoming):
        return "stale"
    hrv, shift = ruleset.hrv(kind), _shift(stored.value_ms, incoming.value_ms)
    # A step counts only when it is small in milliseconds and in proportion.
    if shift >= hrv.dead_band_ms or (
        stored.value_ms is not None and shift >= hrv.dead_band_ratio * stored.value_ms
    ):
        return "revised"
    moved = (
        _shift(stored.rhr_bpm, incoming.rhr_bpm) >= ruleset.rhr.dead_band
        or _shift(stored.rr_brpm, incoming.rr_brpm) >= ruleset.rr.dead_band
        or _shift(stored.temp_c, incoming.temp_c) >= ruleset.temp.dead_band
    )
    return "revised" if moved else "unchanged"


def _shift(before: float | None, after: float | None) -> float:
    if before is None or after is None:
        return 0.0 if before is after else math.inf
    return abs(after - before)


def newest(versions: Sequence[Night]) -> Night:
    """Return the version that stands, whatever the order of arrival.

    Of one vendor record the last written; of several sleeps the longest that has a
    value.
    """
    records: dict[str, Night] = {}
    for version in versions:
        other = records.get(version.record_id)
        if other is None or _tie_broken(version) > _tie_broken(other):
            records[version.record_id] = version
    return max(
        records.values(),
        key=lambda night: (*_main(night), *_tie_broken(night), night.record_id),
    )


def _rank(night: Night, *, beside: Night) -> tuple[object, ...]:
    if night.record_id == beside.record_id:
        return _written(night)
    return (*_main(night), *_written(night))


def _main(night: Night) -> tuple[bool, float]:
    return night.value_ms is not None, night.sleep_s or 0.0


def _written(night: Night) -> tuple[datetime, datetime]:
    return night.updated_at or _NEVER, night.received_at or _NEVER


def _tie_broken(night: Night) -> tuple[object, ...]:
    # The values only give two equal stamps one answer.
    values = (night.value_ms, night.rhr_bpm, night.rr_brpm, night.temp_c)
    return (
        *_written(night),
        *(-math.inf if value is None else value for value in values),
    )


def one_per_date(nights: Iterable[Night]) -> dict[date, Night]:
    """Return the version of each night that stands."""
    found: dict[date, Night] = {}
    doubled: dict[date, list[Night]] = {}
    for night in nights:
        first = found.setdefault(night.night, night)
        if first is not night:
            doubled.setdefault(night.night, [first]).append(night)
    return found | {day: newest(versions) for day, versions in doubled.items()}


def series_id(*, kind: Kind, source: str, device: str) -> str:
    """Name the series: only nights of one series share a baseline.

    `source` is the maker of the reading, not who forwarded it; what is unknown is
    a series of its own, never part of another.
    """
    parts = [part.strip().lower().replace(":", "-") for part in (source, device)]
    return ":".join([kind, *(part or "unknown" for part in parts)])


def primary_series(
    *, series: Mapping[str, Sequence[Night]], newest_night: date, ruleset: Ruleset
) -> str | None:
    """Return the series that may page: most valid nights lately, then by name."""
    since = newest_night - timedelta(days=ruleset.sending.primary_nights - 1)

    def valid(name: str) -> int:
        recent = one_per_date(
            n for n in series[name] if since <= n.night <= newest_night
        )
        return sum(night.value_ms is not None for night in recent.values())

    return min(series, key=lambda name: (-valid(name), name), default=None)

"""What sleeps and samples, however they were cut into pushes, say to the HRV engine.

A phone pushes a sleep now, the samples in it an hour later, and half of both once more
tomorrow. A night is therefore made of all that is known of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from statistics import median
from typing import Literal

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit.sleep import GAP, Session
from biometrics.vendors.night_pieces import GatheredNight
from biometrics.vendors.records import (
    FASTEST_BREATH,
    FEWEST_SAMPLES,
    SHORTEST_NIGHT_S,
    JsonScalar,
    NightSignals,
    Record,
    Series,
)
from biometrics.vendors.times import parse_moment

# The watch measures the wrist's temperature for a night that begins before sleep does.
_BEFORE = timedelta(hours=2)
# A chest strap or a phone's camera measures something else than the watch at night; a
# source that does not say what it is gets the benefit of the doubt.
_WATCHES = frozenset({"watch", None})

_KINDS: tuple[tuple[Literal["RMSSD", "SDNN"], Metric], ...] = (
    ("RMSSD", Metric.HRV_RMSSD),
    ("SDNN", Metric.HRV_SDNN),
)
_SAMPLED = (
    Metric.HRV_RMSSD,
    Metric.HRV_SDNN,
    Metric.RESTING_HEART_RATE,
    Metric.RESPIRATORY_RATE,
    Metric.SKIN_TEMPERATURE,
)

# How a sleep's record names when the sleep itself began and ended.
_BOUNDS = ("asleep_from", "asleep_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asleep:
    """One sleep; `seconds` is how much of it the person slept.

    `zone_offset` is that of its end, None for wall time.
    """

    start: datetime
    end: datetime
    zone_offset: str | None
    seconds: float

    @property
    def night(self) -> date:
        """The date on the wall where the person woke."""
        return self.end.date()


class _Known:
    """The watch's samples by metric: each moment once, and looked up fast."""

    def __init__(self, pieces: Iterable[Record]) -> None:
        found: dict[Metric, dict[float, tuple[date, float]]] = {}
        # What came later replaces; of what came at once the id decides, not the order.
        for piece in sorted(pieces, key=lambda one: (one.stamp, one.record_id)):
            for series in piece.series:
                if piece.local_date is not None and _is_by_watch(series):
                    samples = found.setdefault(series.metric, {})
                    for at, value in _points(series):
                        samples[at] = (piece.local_date, value)
        self._times: dict[Metric, list[float]] = {}
        self._values: dict[Metric, list[float]] = {}
        self._last: dict[tuple[Metric, date], float] = {}
        for metric, samples in found.items():
            ordered = sorted(samples.items())
            self._times[metric] = [at for at, _ in ordered]
            self._values[metric] = [value for _, (_, value) in ordered]
            self._last |= {(metric, day): value for _, (day, value) in ordered}

    def inside(
        self, metric: Metric, sleep: _Asleep, *, early: timedelta = timedelta()
    ) -> list[float]:
        """Return the values during the sleep, both ends included, by time."""
        times = self._times.get(metric, [])
        first = bisect_left(times, (sleep.start - early).timestamp())
        behind = bisect_right(times, sleep.end.timestamp())
        return self._values.get(metric, [])[first:behind]

    def last_of(self, metric: Metric, day: date) -> float | None:
        """Return the last value of a local day."""
        return self._last.get((metric, day))


class HealthKitNights:
    """The nights of a phone's sleeps and samples; see NightPieces."""

    id_prefixes: Sequence[str] = tuple(f"{metric}:" for metric in _SAMPLED)

    def nights(self, pieces: Sequence[Record]) -> Sequence[GatheredNight]:
        """Return the night of each date's longest sleep that has three HRV samples.

        The value is the samples' median. RMSSD comes before SDNN; the two never share a
        series.
        """
        by_brand: dict[str, list[Record]] = {}
        for piece in pieces:
            brand = str(piece.attributes.get("provider", "apple"))
            by_brand.setdefault(brand, []).append(piece)
        return [
            night
            for brand, its in sorted(by_brand.items())
            for night in _nights(its, brand=brand)
        ]


def asleep_facts(session: Session) -> Mapping[str, JsonScalar]:
    """Return when the sleep itself began and ended, as far as a sender tells.

    Times are written like those of a record: without an offset where the sender gave
    none.
    """
    if session.asleep_from is None or session.asleep_to is None:
        return {}
    is_local = session.zone_offset is None
    return {
        name: (moment.replace(tzinfo=None) if is_local else moment).isoformat()
        for name, moment in zip(
            _BOUNDS, (session.asleep_from, session.asleep_to), strict=True
        )
    }


def _nights(pieces: Sequence[Record], *, brand: str) -> Iterator[GatheredNight]:
    known = _Known(pieces)
    best: dict[date, _Asleep] = {}
    for sleep in _sleeps(pieces):
        rival = best.get(sleep.night)
        if rival is None or sleep.seconds > rival.seconds:
            best[sleep.night] = sleep
    for sleep in best.values():
        if sleep.seconds >= SHORTEST_NIGHT_S:
            signals = _signals(sleep, known, brand=brand)
            if signals is not None:
                yield GatheredNight(
                    signals=signals,
                    sleep_s=sleep.seconds,
                    ended=sleep.end,
                    zone_offset=sleep.zone_offset,
                )


def _signals(sleep: _Asleep, known: _Known, *, brand: str) -> NightSignals | None:
    for kind, metric in _KINDS:
        values = known.inside(metric, sleep)
        if len(values) < FEWEST_SAMPLES:
            continue
        breaths = [
            value
            for value in known.inside(Metric.RESPIRATORY_RATE, sleep)
            if value <= FASTEST_BREATH
        ]
        warmth = known.inside(Metric.SKIN_TEMPERATURE, sleep, early=_BEFORE)
        return NightSignals(
            series_id=f"{kind}:{brand}:watch",
            kind=kind,
            night=sleep.night,
            value_ms=median(values),
            rhr_bpm=known.last_of(Metric.RESTING_HEART_RATE, sleep.night),
            rr_brpm=median(breaths) if breaths else None,
            temp_c=warmth[-1] if warmth else None,
        )
    return None


def _sleeps(pieces: Iterable[Record]) -> Iterator[_Asleep]:
    """Join the sleeps that were told in parts.

    Hours that two records tell of count once, and all of what only one of them tells.
    """
    told = [one for piece in pieces if (one := _asleep(piece)) is not None]
    joined: list[_Asleep] = []
    for one in sorted(told, key=lambda sleep: (sleep.start, sleep.end, sleep.seconds)):
        # Overlapping tellings first, then what lies close together.
        if joined and one.start < joined[-1].end:
            joined[-1] = _both(joined[-1], one)
        else:
            joined.append(one)
    sleep: _Asleep | None = None
    for one in joined:
        if sleep is not None and one.start <= sleep.end + GAP:
            seconds = sleep.seconds + one.seconds
            sleep = replace(one, start=sleep.start, seconds=seconds)
            continue
        if sleep is not None:
            yield sleep
        sleep = one
    if sleep is not None:
        yield sleep


def _both(first: _Asleep, second: _Asleep) -> _Asleep:
    """Return two overlapping sleeps as one; `first` began first.

    How much of the shared hours was slept is not told apart: no more is counted than
    both must have seen, and no less than either saw.
    """
    shared = (min(first.end, second.end) - second.start).total_seconds()
    return replace(
        max(first, second, key=lambda sleep: sleep.end),
        start=first.start,
        seconds=max(
            first.seconds, second.seconds, first.seconds + second.seconds - shared
        ),
    )


def _asleep(piece: Record) -> _Asleep | None:
    start, end = (parse_moment(piece.attributes.get(n)) for n in _BOUNDS)
    said = {reading.metric: reading.value for reading in piece.readings}
    seconds = said.get(Metric.SLEEP_DURATION)
    if piece.record_type != "sleep" or not start or not end or seconds is None:
        return None
    return _Asleep(
        start=start.at, end=end.at, zone_offset=end.zone_offset, seconds=seconds
    )


def _is_by_watch(series: Series) -> bool:
    return series.context in _WATCHES


def _points(series: Series) -> Iterator[tuple[float, float]]:
    start = series.start.timestamp()
    for offset, value in zip(series.offsets_s or (), series.values, strict=False):
        if value is not None:
            yield round(start + offset, 3), value

"""Oura's `heartrate` rows, which have no ids: one record for each local day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from biometrics.catalogue import Metric
from biometrics.vendors.fields import dig, irregular_series, scaled
from biometrics.vendors.records import Action, Problem, Record, Series
from biometrics.vendors.times import Moment, credible, parse_moment

_SOURCES = frozenset({"awake", "rest", "sleep", "session", "live", "workout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beat:
    moment: Moment
    source: str | None
    bpm: float


def build_heart_rate_records(
    *, rows: Sequence[object], stamp: datetime, action: Action
) -> tuple[Record, ...]:
    """Return one record for each local day of the rows, a series for each source.

    The record's id is the date, so the rows of a day belong into one call. Only
    `timestamp` is read: of `timestamp_unix` Oura's texts and samples disagree whether
    it counts seconds or milliseconds.
    """
    problems: list[Problem] = []
    days: dict[date, list[_Beat]] = {}
    for beat in _beats(rows, now=stamp, problems=problems):
        days.setdefault(beat.moment.local_date, []).append(beat)
    return tuple(
        _day_record(
            day=day,
            beats=sorted(days[day], key=lambda beat: beat.moment.at),
            stamp=stamp,
            action=action,
            problems=tuple(dict.fromkeys(problems)),
        )
        for day in sorted(days)
    )


def _beats(
    rows: Sequence[object], *, now: datetime, problems: list[Problem]
) -> Iterator[_Beat]:
    for row in rows:
        moment = parse_moment(dig(row, "timestamp"))
        if moment is None or not credible(moment, now=now):
            problems.append(Problem(field="timestamp", reason="no credible time"))
            continue
        bpm = scaled(dig(row, "bpm"), metric=Metric.HEART_RATE)
        if bpm is None:
            problems.append(Problem(field="bpm", reason="implausible"))
            continue
        source = dig(row, "source")
        named = source if isinstance(source, str) and source in _SOURCES else None
        yield _Beat(moment=moment, source=named, bpm=bpm)


def _day_record(
    *,
    day: date,
    beats: Sequence[_Beat],
    stamp: datetime,
    action: Action,
    problems: tuple[Problem, ...],
) -> Record:
    first, last = beats[0].moment, beats[-1].moment
    return Record(
        record_type="heart_rate",
        record_id=day.isoformat(),
        action=action,
        stamp=stamp,
        start=first.at,
        end=last.at,
        zone_offset=first.zone_offset,
        local_date=day,
        series=tuple(_by_source(beats)),
        problems=problems,
    )


def _by_source(beats: Sequence[_Beat]) -> Iterator[Series]:
    # Keyed by time: a row that was sent twice counts once.
    points: dict[str | None, dict[datetime, float]] = {}
    for beat in beats:
        points.setdefault(beat.source, {})[beat.moment.at] = beat.bpm
    for source in sorted(points, key=str):
        yield irregular_series(
            Metric.HEART_RATE, list(points[source].items()), context=source
        )

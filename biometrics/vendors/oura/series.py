"""Oura's sample objects {interval, items, timestamp} as regular series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from biometrics.vendors.fields import dig, scaled
from biometrics.vendors.oura.kinds import SampleSeries
from biometrics.vendors.oura.times import read_moment
from biometrics.vendors.records import Problem, Series

# Oura samples every 5 seconds to every 5 minutes.
_LONGEST_STEP_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSeries:
    """The series of a document, and a problem for each that did not fit."""

    series: tuple[Series, ...]
    problems: tuple[Problem, ...]


def read_series(
    document: object, rows: Sequence[SampleSeries], *, now: datetime
) -> ReadSeries:
    """Read a table of sample objects against a document.

    Absent and null ones are silent. A sample that is no plausible value is missing in
    its place, and the series is reported once; one without any value is left out.
    """
    found: list[Series] = []
    problems: list[Problem] = []
    for row in rows:
        if dig(document, row.path) is None:
            continue
        series = _read_one(document, row, now=now, problems=problems)
        if series is not None:
            found.append(series)
    return ReadSeries(series=tuple(found), problems=tuple(problems))


def _read_one(
    document: object, row: SampleSeries, *, now: datetime, problems: list[Problem]
) -> Series | None:
    items = dig(document, f"{row.path}.items")
    if not isinstance(items, list):
        problems.append(Problem(field=f"{row.path}.items", reason="no list"))
        return None
    values = _values(items, row, problems)
    if all(value is None for value in values):
        return None
    step = _step(dig(document, f"{row.path}.interval"))
    if step is None:
        problems.append(Problem(field=f"{row.path}.interval", reason="no interval"))
        return None
    at = f"{row.path}.timestamp"
    start = read_moment(document, path=at, now=now, problems=problems)
    if start is None:
        if dig(document, at) is None:
            problems.append(Problem(field=at, reason="missing"))
        return None
    return Series(
        metric=row.metric,
        start=start.at,
        values=values,
        interval_s=step,
        context=row.context,
    )


def _values(
    items: list[object], row: SampleSeries, problems: list[Problem]
) -> tuple[float | None, ...]:
    measured = _without_padding(items, row.padding)
    field = f"{row.path}.items"
    if len(measured) < len(items):
        problems.append(Problem(field=field, reason="padded to the end of the day"))
    values = tuple(
        None if item is None else scaled(item, metric=row.metric) for item in measured
    )
    if values.count(None) > measured.count(None):
        problems.append(Problem(field=field, reason="implausible"))
    return values


def _without_padding(items: list[object], padding: float | None) -> list[object]:
    end = len(items)
    while padding is not None and end and items[end - 1] == padding:
        end -= 1
    return items[:end]


def _step(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return float(raw) if 0 < raw <= _LONGEST_STEP_S else None

"""Lists of timed samples in a Terra document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from biometrics.vendors.fields import dig, irregular_series, scaled
from biometrics.vendors.records import Problem, Series
from biometrics.vendors.terra.frame import Frame
from biometrics.vendors.terra.series import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What one row of the series table found; its series holds numbers only."""

    series: Series | None = None
    problem: Problem | None = None
    latest_is_reading: bool = False


def read_samples(item: object, row: Samples, *, frame: Frame, where: str) -> Timed:
    """Read a row of the series table against a document.

    Samples without a value are silent. What is no plausible number at a credible time
    near the record is left out, and one problem tells how many were.
    """
    raw = dig(item, row.path)
    if raw is None:
        return Timed()
    field = f"{where}.{row.path}"
    if not isinstance(raw, list):
        return Timed(problem=Problem(field=field, reason="not a list"))
    points, refused = _points(raw, row, frame=frame)
    problem = None
    if refused:
        reason = f"implausible value or time in {refused} of {len(raw)}"
        problem = Problem(field=f"{field}.{row.key}", reason=reason)
    if not points:
        return Timed(problem=problem)
    return Timed(
        series=irregular_series(row.metric, points, context=row.context),
        problem=problem,
        latest_is_reading=row.latest_is_reading,
    )


def _points(
    raw: list[object], row: Samples, *, frame: Frame
) -> tuple[list[tuple[datetime, float]], int]:
    points: list[tuple[datetime, float]] = []
    refused = 0
    for sample in raw:
        if not isinstance(sample, dict):
            refused += 1
            continue
        value = sample.get(row.key)
        if value is None:
            continue
        number = scaled(value, metric=row.metric, scale=row.scale)
        at = frame.place(sample.get(row.time_key)) if number is not None else None
        if number is None or at is None:
            refused += 1
        else:
            points.append((at, number))
    return points, refused

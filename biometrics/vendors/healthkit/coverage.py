"""What the tables of both phone apps cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from biometrics.catalogue import Metric
from biometrics.vendors.coverage import LAST_SAMPLE, SAMPLES, Covered
from biometrics.vendors.healthkit.mapping import (
    EXPORT,
    EXPORT_MANY,
    LATEST_OF_DAY,
    SDK,
    Quantity,
)
from biometrics.vendors.healthkit.units import Dimension
from biometrics.vendors.healthkit.workouts import (
    EXPORT_SAMPLES,
    EXPORT_VALUES,
    SDK_SAMPLES,
    SDK_VALUES,
)

_SEGMENTS = "segments of all sources, every instant once"

_SLEEP = (
    (Metric.SLEEP_DURATION, "sleeping, light, deep, rem", "totalSleep, asleep"),
    (Metric.SLEEP_DEEP, "deep", "deep"),
    (Metric.SLEEP_LIGHT, "light", "core"),
    (Metric.SLEEP_REM, "rem", "rem"),
    (Metric.SLEEP_AWAKE, "awake", "awake"),
    (Metric.TIME_IN_BED, "in_bed", "inBed"),
)


def _rows() -> Iterator[Covered]:
    yield from _sampled(SDK, record_type="samples", pattern="SDK {}")
    yield from _sampled(EXPORT, record_type="samples", pattern="HAE {}")
    for name, quantities in EXPORT_MANY.items():
        pattern = f"HAE {name}.{{}}"
        yield from _sampled(quantities, record_type="samples", pattern=pattern)
    for metric, stages, keys in _SLEEP:
        yield Covered(
            record_type="sleep",
            field=f"SDK stage {stages}",
            metric=metric,
            method=_SEGMENTS,
        )
        yield Covered(
            record_type="sleep",
            field=f"HAE sleep_analysis.{keys}",
            metric=metric,
            method="the summary, or segments as in the SDK",
            conversion="hours, by `units`, to s",
        )
    yield Covered(
        record_type="sleep", field="SDK values sleepScore", metric=Metric.SLEEP_SCORE
    )
    yield from _named(SDK_VALUES, record_type="workout", pattern="SDK values {}")
    yield from _sampled(SDK_SAMPLES, record_type="workout", pattern="SDK samples {}")
    yield Covered(record_type="workout", field="HAE duration", metric=Metric.DURATION)
    yield from _named(EXPORT_VALUES, record_type="workout", pattern="HAE {}")
    for name, quantities in EXPORT_SAMPLES.items():
        pattern = f"HAE {name}[].{{}}"
        yield from _sampled(quantities, record_type="workout", pattern=pattern)


def _named(
    quantities: Mapping[str, Quantity], *, record_type: str, pattern: str
) -> Iterator[Covered]:
    for name, (metric, dimension, context) in quantities.items():
        yield Covered(
            record_type=record_type,
            field=pattern.format(name),
            metric=metric,
            conversion=_units(dimension),
            context=context,
        )


def _sampled(
    quantities: Mapping[str, Quantity], *, record_type: str, pattern: str
) -> Iterator[Covered]:
    """Yield the rows of samples; of some metrics the day's last is a reading too."""
    for row in _named(quantities, record_type=record_type, pattern=pattern):
        is_both = record_type == "samples" and row.metric in LATEST_OF_DAY
        yield replace(
            row,
            form="both" if is_both else "series",
            method=LAST_SAMPLE if is_both else SAMPLES,
        )


def _units(dimension: Dimension) -> str:
    """Name the units that are understood: the one that is sent decides the factor."""
    known = ", ".join(dimension.scales)
    if dimension.is_fraction:
        return f"{known}; up to 1.0 a fraction"
    return known


COVERAGE = tuple(_rows())

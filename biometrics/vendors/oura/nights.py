"""What a main sleep of Oura says to the HRV engine."""

from __future__ import annotations

from collections.abc import Sequence

from biometrics.catalogue import Metric
from biometrics.vendors.oura.times import Span
from biometrics.vendors.records import (
    FASTEST_BREATH,
    SHORTEST_NIGHT_S,
    NightSignals,
    ReadingValue,
)

SERIES_ID = "RMSSD:oura:ring"


def night_signals(readings: Sequence[ReadingValue], span: Span) -> NightSignals | None:
    """Return the night of a `long_sleep`, None when its date is not known.

    After less than three hours of sleep the night is there, its signals are missing.
    """
    if span.local_date is None:
        return None
    by_metric = {reading.metric: reading.value for reading in readings}
    asleep_s = _asleep_s(by_metric, span)
    # Without any duration Oura's own word stands: a long_sleep has three hours or more.
    if asleep_s is not None and asleep_s < SHORTEST_NIGHT_S:
        by_metric = {}
    breath = by_metric.get(Metric.RESPIRATORY_RATE)
    if breath is not None and breath > FASTEST_BREATH:
        breath = None
    return NightSignals(
        series_id=SERIES_ID,
        kind="RMSSD",
        night=span.local_date,
        value_ms=by_metric.get(Metric.HRV_RMSSD),
        rhr_bpm=by_metric.get(Metric.RESTING_HEART_RATE),
        rr_brpm=breath,
        temp_c=by_metric.get(Metric.SKIN_TEMPERATURE_DEVIATION),
    )


def _asleep_s(by_metric: dict[Metric, float], span: Span) -> float | None:
    """Oura's total, else the sum of all stages, else the time between the bedtimes."""
    total = by_metric.get(Metric.SLEEP_DURATION)
    if total is not None:
        return total
    stages = [
        by_metric.get(metric)
        for metric in (Metric.SLEEP_DEEP, Metric.SLEEP_LIGHT, Metric.SLEEP_REM)
    ]
    known = [stage for stage in stages if stage is not None]
    if len(known) == len(stages):
        return sum(known)
    if span.start and span.end:
        return (span.end - span.start).total_seconds()
    return None

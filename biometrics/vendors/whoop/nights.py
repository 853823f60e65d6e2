"""What a recovery of WHOOP says to the HRV engine about the night before."""

from __future__ import annotations

from collections.abc import Sequence

from biometrics.catalogue import Metric
from biometrics.vendors.records import (
    FASTEST_BREATH,
    SHORTEST_NIGHT_S,
    NightSignals,
    ReadingValue,
)
from biometrics.vendors.whoop.times import Span

SERIES_ID = "RMSSD:whoop:strap"


def night_signals(
    recovery: Sequence[ReadingValue], *, sleep: Sequence[ReadingValue], span: Span
) -> NightSignals | None:
    """Return the night of a main sleep, None when its local date is not known.

    Without numbers of the recovery (not scored, calibrating), and after less than three
    hours of sleep, the night is there and its signals are missing.
    """
    if span.local_date is None:
        return None
    measured = {reading.metric: reading.value for reading in recovery}
    slept = {reading.metric: reading.value for reading in sleep}
    asleep_s = slept.get(Metric.SLEEP_DURATION, _length_s(span))
    if asleep_s is not None and asleep_s < SHORTEST_NIGHT_S:
        measured = {}
    breath = slept.get(Metric.RESPIRATORY_RATE) if measured else None
    if breath is not None and breath > FASTEST_BREATH:
        breath = None
    return NightSignals(
        series_id=SERIES_ID,
        kind="RMSSD",
        night=span.local_date,
        value_ms=measured.get(Metric.HRV_RMSSD),
        rhr_bpm=measured.get(Metric.RESTING_HEART_RATE),
        rr_brpm=breath,
        temp_c=measured.get(Metric.SKIN_TEMPERATURE),
    )


def _length_s(span: Span) -> float | None:
    if span.start is None or span.end is None:
        return None
    return (span.end - span.start).total_seconds()

"""What a Terra sleep says to the HRV engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import Literal

from biometrics.catalogue import Metric
from biometrics.vendors.records import (
    FASTEST_BREATH,
    FEWEST_SAMPLES,
    SHORTEST_NIGHT_S,
    NightSignals,
    Record,
)
from biometrics.vendors.terra.frame import Frame

_KINDS: tuple[tuple[Literal["RMSSD", "SDNN"], Metric], ...] = (
    ("RMSSD", Metric.HRV_RMSSD),
    ("SDNN", Metric.HRV_SDNN),
)


def night_of(record: Record, *, frame: Frame, provider: str) -> NightSignals | None:
    """Return the signals of a main sleep with HRV, None for a nap or without HRV.

    The provider's own value for the night comes before the median of its samples; RMSSD
    comes before SDNN, and the two never share a series.
    """
    if frame.end is None or not _is_main(record, frame=frame):
        return None
    said = {r.metric: r.value for r in record.readings}
    breaths = said.get(Metric.RESPIRATORY_RATE)
    for kind, metric in _KINDS:
        value = said.get(metric) or _median(record, metric, frame=frame)
        if value is not None:
            return NightSignals(
                series_id=f"{kind}:terra:{device_class(provider)}",
                kind=kind,
                night=frame.end.local_date,
                value_ms=value,
                rhr_bpm=said.get(Metric.RESTING_HEART_RATE),
                rr_brpm=breaths if (breaths or 0) <= FASTEST_BREATH else None,
                temp_c=said.get(Metric.SKIN_TEMPERATURE_DEVIATION),
            )
    return None


def one_for_each_night(records: Sequence[Record]) -> set[str]:
    """Return the ids of the sleeps that speak for their night: the longest of each."""
    longest: dict[tuple[str, object], tuple[float, str]] = {}
    for record in records:
        if record.night is None:
            continue
        key = (record.night.series_id, record.night.night)
        rank = (_asleep_s(record) or 0.0, record.record_id)
        longest[key] = max(longest.get(key, rank), rank)
    return {record_id for _, record_id in longest.values()}


def device_class(provider: str) -> str:
    """Return the provider as the third part of a series id."""
    return re.sub(r"[^a-z0-9]+", "_", provider.lower()).strip("_")[:40] or "unknown"


def _is_main(record: Record, *, frame: Frame) -> bool:
    if record.attributes.get("is_nap") is True:
        return False
    asleep = _asleep_s(record)
    known = frame.duration_s if asleep is None else asleep
    # Below it a sleep is a nap whatever its label.
    return known is not None and known >= SHORTEST_NIGHT_S


def _asleep_s(record: Record) -> float | None:
    return next(
        (r.value for r in record.readings if r.metric == Metric.SLEEP_DURATION), None
    )


def _median(record: Record, metric: Metric, *, frame: Frame) -> float | None:
    inside: list[float] = []
    for series in record.series:
        if series.metric != metric or series.offsets_s is None:
            continue
        inside += [
            value
            for value, offset in zip(series.values, series.offsets_s, strict=True)
            if value is not None
            and frame.contains(series.start + timedelta(seconds=offset))
        ]
    return median(inside) if len(inside) >= FEWEST_SAMPLES else None

"""What a push says to the HRV engine about a main sleep that it holds."""

from __future__ import annotations

from datetime import timedelta
from statistics import median
from typing import Literal

from biometrics.catalogue import Metric
from biometrics.vendors.base import (
    FASTEST_BREATH,
    FEWEST_SAMPLES,
    SHORTEST_NIGHT_S,
    NightSignals,
)
from biometrics.vendors.healthkit.harvest import Harvest
from biometrics.vendors.healthkit.sleep import Session

# The watch measures the wrist's temperature for a night that begins before sleep does.
_BEFORE = timedelta(hours=2)
# A chest strap or a phone's camera measures something else than the watch at night; a
# source that does not say what it is gets the benefit of the doubt.
_WATCHES = frozenset({"watch", ""})

_KINDS: tuple[tuple[Literal["RMSSD", "SDNN"], Metric], ...] = (
    ("RMSSD", Metric.HRV_RMSSD),
    ("SDNN", Metric.HRV_SDNN),
)


def night_of(session: Session, harvest: Harvest) -> NightSignals | None:
    """Return the signals of a main sleep, None without three HRV samples in it.

    The night's value is their median. RMSSD comes before SDNN; the two never share a
    series.
    """
    start, end = session.asleep_from, session.asleep_to
    if start is None or end is None or session.night is None:
        return None
    if session.asleep_s < SHORTEST_NIGHT_S:
        return None

    def inside(metric: Metric, *, early: timedelta = timedelta()) -> list[float]:
        found = harvest.samples.between(
            metric, start=start - early, end=end, devices=_WATCHES
        )
        return [value for _, value in found]

    for kind, metric in _KINDS:
        values = inside(metric)
        if len(values) < FEWEST_SAMPLES:
            continue
        breaths = [v for v in inside(Metric.RESPIRATORY_RATE) if v <= FASTEST_BREATH]
        warmth = inside(Metric.SKIN_TEMPERATURE, early=_BEFORE)
        return NightSignals(
            series_id=f"{kind}:{harvest.brand}:watch",
            kind=kind,
            night=session.night,
            value_ms=median(values),
            rhr_bpm=harvest.samples.last_on(
                Metric.RESTING_HEART_RATE, day=session.night, devices=_WATCHES
            ),
            rr_brpm=median(breaths) if breaths else None,
            temp_c=warmth[-1] if warmth else None,
        )
    return None

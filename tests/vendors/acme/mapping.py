"""Which Acme field is which reading. Acme counts minutes."""

from __future__ import annotations

from biometrics.catalogue import Metric
from biometrics.vendors.fields import Field, covered

_MINUTES = 60.0

NIGHT = (
    Field(path="hrv.rmssd_ms", metric=Metric.HRV_RMSSD, context="sleep"),
    Field(path="pulse.lowest", metric=Metric.RESTING_HEART_RATE),
    Field(path="asleep_min", metric=Metric.SLEEP_DURATION, scale=_MINUTES),
)

COVERAGE = covered(NIGHT, record_type="sleep")

"""What a vendor's mapping tables cover, row by row: the source of docs/vendors.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from biometrics.catalogue import Metric

AS_SENT = "as sent"
SAMPLES = "samples"
LAST_SAMPLE = "samples, the last is the reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A vendor's field and the metric that it becomes in records of a type.

    `form` is what of a record it fills. `method` says how the number comes about,
    `conversion` what is done to its unit (nothing when empty). `context` is that of the
    reading or series.
    """

    record_type: str
    field: str
    metric: Metric
    form: Literal["reading", "series", "both"] = "reading"
    method: str = AS_SENT
    conversion: str = ""
    context: str | None = None


def times(scale: float) -> str:
    """Return a factor as a conversion; what is no round factor is one divided by it."""
    if scale == 1.0:
        return ""
    divisor = round(1 / scale, 6)
    if 0 < scale < 1 and divisor != round(divisor):
        return f"/ {divisor:g}"
    return f"x {scale:g}"

"""Samples on their way to a series: compact, because a push can hold half a million."""

from __future__ import annotations

from array import array
from datetime import date, datetime

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit.mapping import Quantity
from biometrics.vendors.records import Series
from biometrics.vendors.times import Moment


class Points:
    """The values of one metric from one kind of device, in any order."""

    __slots__ = ("_times", "_values", "first", "until")

    def __init__(self, first: Moment, until: datetime) -> None:
        self._times = array("d")
        self._values = array("d")
        self.first = first
        self.until = until

    def add(self, at: Moment, until: datetime, value: float) -> None:
        """Take one sample; positional, for it runs for every sample of a push."""
        self._times.append(at.at.timestamp())
        self._values.append(value)
        if at.at < self.first.at:
            self.first = at
        self.until = max(self.until, until)

    def in_order(self) -> list[tuple[float, float]]:
        """Return (seconds since 1970, value) by time; the same sample twice is one."""
        return sorted(set(zip(self._times, self._values, strict=True)))

    def series(self, metric: Metric, *, context: str | None) -> Series:
        """Return the points as an irregular series from the first one's time."""
        ordered = self.in_order()
        start = ordered[0][0]
        return Series(
            metric=metric,
            start=self.first.at,
            values=tuple(value for _, value in ordered),
            offsets_s=tuple(round(time - start, 3) for time, _ in ordered),
            context=context,
        )


class Samples:
    """All samples of a push by metric, local day, context and kind of device."""

    def __init__(self) -> None:
        self.days: dict[tuple[Metric, date], dict[tuple[str, str], Points]] = {}

    def add(
        self,
        quantity: Quantity,
        value: float,
        *,
        at: Moment,
        until: datetime,
        device: str | None,
    ) -> None:
        """Take one sample; it belongs to the local day on which it began."""
        day = self.days.setdefault((quantity.metric, at.local_date), {})
        key = (quantity.context or "", device or "")
        points = day.get(key)
        if points is None:
            points = day[key] = Points(at, until)
        points.add(at, until, value)

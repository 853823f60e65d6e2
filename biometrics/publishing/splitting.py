"""Values that are too long for one record: their series are cut by time.

Nothing is dropped; each part is a value of its own with `part.index` and `part.count`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from biometrics.publishing.values import Json, series_value
from biometrics.vendors.records import Record, Series

# Room for `"part":{"index":…,"count":…}` in each value.
_PART_ROOM = 64


def split_value(value: Json, *, record: Record, max_bytes: int) -> list[bytes]:
    """Return the value of `record` as JSON, in several parts above `max_bytes`.

    Readings and assessment are in the first part only. A part is longer than allowed
    only if a single moment alone is.
    """
    whole = orjson.dumps(value)
    if len(whole) <= max_bytes or not record.series:
        return [whole]
    room = max_bytes - len(orjson.dumps({**value, "series": []})) - _PART_ROOM

    def fits(series: Sequence[Series]) -> bool:
        return len(orjson.dumps(_rows(series, record))) <= room

    slices = split_by_time(record.series, fits=fits)
    parts = []
    for index, series in enumerate(slices, start=1):
        part = {
            **value,
            "series": _rows(series, record),
            "part": {"index": index, "count": len(slices)},
        }
        if index > 1:
            part["readings"] = []
            part.pop("assessment", None)
        parts.append(orjson.dumps(part))
    return parts


def split_by_time(
    series: Sequence[Series], *, fits: Callable[[Sequence[Series]], bool]
) -> list[list[Series]]:
    """Return consecutive slices of time, each with the samples of all series in it.

    Every slice `fits`, unless a single moment alone does not.
    """
    ready: list[list[Series]] = []
    waiting = [list(series)]
    while waiting:
        part = waiting.pop()
        cut = None if fits(part) else _middle(part)
        if cut is None:
            ready.append(part)
            continue
        halves = [_slice(item, cut) for item in part]
        # The later half waits below the earlier one, so slices come out in time order.
        waiting.append([later for _, later in halves if later is not None])
        waiting.append([earlier for earlier, _ in halves if earlier is not None])
    return ready


def _rows(series: Sequence[Series], record: Record) -> list[dict[str, object]]:
    return [series_value(item, zone_offset=record.zone_offset) for item in series]


def _middle(part: Sequence[Series]) -> datetime | None:
    """Return a time that has samples of the longest series before and after it."""
    longest = max(part, key=lambda item: len(item.values), default=None)
    if longest is None or len(longest.values) < 2:
        return _between(part)
    half = len(longest.values) // 2
    # Samples of one moment stay together; look for the nearest change of moment.
    for index in [*range(half, len(longest.values)), *range(half, 0, -1)]:
        if _moment(longest, index) > _moment(longest, index - 1):
            return _moment(longest, index)
    return _between(part)


def _between(part: Sequence[Series]) -> datetime | None:
    """Return the last of several moments at which series start, None for one moment."""
    moments = sorted({_moment(item, 0) for item in part if item.values})
    return moments[-1] if len(moments) > 1 else None


def _slice(series: Series, cut: datetime) -> tuple[Series | None, Series | None]:
    count = len(series.values)
    first = next((i for i in range(count) if _moment(series, i) >= cut), count)
    return _part(series, 0, first), _part(series, first, count)


def _part(series: Series, first: int, last: int) -> Series | None:
    if first == last:
        return None
    values = series.values[first:last]
    if series.offsets_s is not None:
        # Offsets keep counting from the original start: exact, no rounding.
        return replace(series, values=values, offsets_s=series.offsets_s[first:last])
    return replace(series, values=values, start=_moment(series, first))


def _moment(series: Series, index: int) -> datetime:
    if series.offsets_s is not None:
        return series.start + timedelta(seconds=series.offsets_s[index])
    return series.start + timedelta(seconds=index * (series.interval_s or 0.0))

"""What must hold of anything that an adapter says, whatever it was given."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta

from biometrics.catalogue import plausible
from biometrics.vendors.records import (
    NightSignals,
    Problem,
    ReadingValue,
    Record,
    Series,
    Understanding,
)

_OFFSET = re.compile(r"[+-]\d{2}:\d{2}")
_SNAKE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EARLIEST = date(2000, 1, 1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# Vendors' clocks may run ahead of ours; adapters allow two days, zones one more.
_AHEAD = timedelta(days=3)


def assert_sound(understanding: Understanding, *, now: datetime) -> None:
    """Assert that every number is plausible, every time credible, every text short."""
    _check_problems(understanding.problems)
    for record in understanding.records:
        _check_identity(record, now=now)
        _check_times(record, now=now)
        _check_problems(record.problems)
        _check_attributes(record)
        _check_readings(record.readings)
        for series in record.series:
            _check_series(series, now=now)
        if record.night is not None:
            _check_night(record.night, now=now)
        if record.action == "deleted":
            assert not record.readings
            assert not record.series
    for change in understanding.connection_changes:
        assert _is_short_text(change.reason)


def _check_identity(record: Record, *, now: datetime) -> None:
    assert _SNAKE.fullmatch(record.record_type)
    assert _is_short_text(record.record_id)
    assert record.action in {"created", "updated", "deleted"}
    assert _is_credible(record.stamp, now=now)


def _check_times(record: Record, *, now: datetime) -> None:
    for moment in (record.start, record.end):
        assert moment is None or _is_credible(moment, now=now)
    if record.start and record.end:
        assert record.start <= record.end
    if record.zone_offset is not None:
        assert _OFFSET.fullmatch(record.zone_offset)
    if record.local_date is not None:
        assert _EARLIEST <= record.local_date <= (now + _AHEAD).date()


def _check_problems(problems: object) -> None:
    assert isinstance(problems, list | tuple)
    for problem in problems:
        assert isinstance(problem, Problem)
        assert _is_short_text(problem.field)
        assert _is_short_text(problem.reason)


def _check_attributes(record: Record) -> None:
    for name, value in record.attributes.items():
        assert _SNAKE.fullmatch(name)
        assert value is None or isinstance(value, str | int | float)
        if isinstance(value, str):
            assert _is_short_text(value)
        elif isinstance(value, float):
            assert math.isfinite(value)
        elif isinstance(value, int):
            assert abs(value) < 2**53


def _check_readings(readings: object) -> None:
    assert isinstance(readings, list | tuple)
    seen = set()
    for reading in readings:
        assert isinstance(reading, ReadingValue)
        assert plausible(reading.metric, reading.value) == reading.value
        assert isinstance(reading.value, float)
        assert reading.context is None or 0 < len(reading.context) <= 40
        seen.add((reading.metric, reading.context))
    assert len(seen) == len(readings), "a (metric, context) was said twice"


def _check_series(series: Series, *, now: datetime) -> None:
    assert _is_credible(series.start, now=now)
    for value in series.values:
        assert value is None or plausible(series.metric, value) == value
    assert any(value is not None for value in series.values), "a series of nothing"
    assert (series.interval_s is None) != (series.offsets_s is None)
    if series.interval_s is not None:
        assert 0 < series.interval_s <= 86_400
    if series.offsets_s is not None:
        offsets = list(series.offsets_s)
        assert len(offsets) == len(series.values)
        assert offsets == sorted(offsets)
        assert all(math.isfinite(offset) for offset in offsets)


def _check_night(night: NightSignals, *, now: datetime) -> None:
    assert re.fullmatch(r"(RMSSD|SDNN):[a-z0-9_]+:[a-z0-9_]+", night.series_id)
    assert night.series_id.startswith(night.kind + ":")
    assert _EARLIEST <= night.night <= (now + _AHEAD).date()
    high = 300 if night.kind == "RMSSD" else 400
    for value, low, top in [
        (night.value_ms, 3, high),
        (night.rhr_bpm, 25, 150),
        (night.rr_brpm, 5, 40),
        (night.temp_c, -10, 44),
    ]:
        assert value is None or low <= value <= top


def _is_credible(moment: datetime, *, now: datetime) -> bool:
    assert moment.tzinfo is not None
    return _EPOCH <= moment <= now + _AHEAD


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()

"""The value of a record: what a vendor record says, as JSON for consumers.

Field names are an interface; new ones may be added, none may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from biometrics.catalogue import METRICS
from biometrics.vendors.base import ReadingValue, Record, Series

Json = Mapping[str, object]

# Finer than any sensor; drops the noise that unit conversion leaves behind.
_DECIMALS = 6


def record_value(*, subject: UUID, vendor: str, record: Record) -> dict[str, object]:
    """Return the published value of a vendor record, without an assessment.

    Times carry the offset that the vendor gave; without one they are local wall time
    and printed without an offset.
    """
    zone = _zone(record.zone_offset)
    value: dict[str, object] = {
        "record": {
            "vendor": vendor,
            "type": record.record_type,
            "id": record.record_id,
            "action": record.action,
            "revision": utc_text(record.stamp),
        },
        "subject": str(subject),
        "start": _local_text(record.start, zone),
        "end": _local_text(record.end, zone),
        "zone_offset": record.zone_offset,
        "local_date": record.local_date.isoformat() if record.local_date else None,
        "readings": [_reading(reading) for reading in record.readings],
        "series": [
            series_value(series, zone_offset=record.zone_offset)
            for series in record.series
        ],
    }
    if record.attributes:
        value["attributes"] = dict(record.attributes)
    return value


def series_value(series: Series, *, zone_offset: str | None) -> dict[str, object]:
    """Return one series; `zone_offset` is that of its record."""
    value: dict[str, object] = {
        "metric": series.metric.value,
        "unit": METRICS[series.metric].unit,
        "start": _local_text(series.start, _zone(zone_offset)),
    }
    if series.interval_s is not None:
        value["interval_s"] = _number(series.interval_s)
    if series.offsets_s is not None:
        value["offsets_s"] = _numbers(series.offsets_s)
    value["values"] = _numbers(series.values)
    if series.context:
        value["context"] = series.context
    return value


def utc_text(moment: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _reading(reading: ReadingValue) -> dict[str, object]:
    value: dict[str, object] = {
        "metric": reading.metric.value,
        "value": _number(reading.value),
        "unit": METRICS[reading.metric].unit,
    }
    if reading.context:
        value["context"] = reading.context
    return value


def _number(number: float) -> float:
    """Return 38 for 38.0, as a reader of JSON would write it."""
    return int(number) if float(number).is_integer() else round(number, _DECIMALS)


def _numbers(numbers: Sequence[float | None]) -> list[float | None]:
    return [None if number is None else _number(number) for number in numbers]


def _zone(offset: str | None) -> timezone | None:
    """Return the zone of an offset such as +01:00, None for None."""
    if offset is None:
        return None
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)


def _local_text(moment: datetime | None, zone: timezone | None) -> str | None:
    if moment is None:
        return None
    if zone is None:
        return moment.replace(tzinfo=None).isoformat()
    return moment.astimezone(zone).isoformat()

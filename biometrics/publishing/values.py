"""The value of a record: what a vendor record says, as JSON for consumers.

Field names are an interface; new ones may be added, none may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from biometrics.catalogue import METRICS, Metric
from biometrics.vendors.records import ReadingValue, Record, Series

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


def record_of(value: Mapping[str, Any], *, stamp: datetime) -> Record:
    """Return the record that a published value was made of, as far as it tells.

    The inverse of `record_value`, but for `night` and `problems`, which are not
    published, and for decimals beyond the sixth. `stamp` is the revision's: it grows
    after publication when the vendor repeats itself.
    """
    said, day = value["record"], value["local_date"]
    return Record(
        record_type=said["type"],
        record_id=said["id"],
        action=said["action"],
        stamp=stamp,
        start=_moment(value["start"]),
        end=_moment(value["end"]),
        zone_offset=value["zone_offset"],
        local_date=None if day is None else date.fromisoformat(day),
        readings=tuple(
            ReadingValue(
                metric=Metric(one["metric"]),
                value=one["value"],
                context=one.get("context"),
            )
            for one in value["readings"]
        ),
        series=tuple(map(_series, value["series"])),
        attributes=value.get("attributes", {}),
    )


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


def _series(value: Mapping[str, Any]) -> Series:
    start, offsets = _moment(value["start"]), value.get("offsets_s")
    assert start is not None  # a series always has one
    return Series(
        metric=Metric(value["metric"]),
        start=start,
        values=tuple(value["values"]),
        interval_s=value.get("interval_s"),
        offsets_s=None if offsets is None else tuple(offsets),
        context=value.get("context"),
    )


def _moment(text: str | None) -> datetime | None:
    """Read what `_local_text` wrote: wall time of an unknown zone is marked as UTC."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _local_text(moment: datetime | None, zone: timezone | None) -> str | None:
    if moment is None:
        return None
    if zone is None:
        return moment.replace(tzinfo=None).isoformat()
    return moment.astimezone(zone).isoformat()

"""Short forms of what an adapter said, for comparing with what a document means."""

from __future__ import annotations

from biometrics.vendors.records import Record

Readings = dict[str, float]


def readings(record: Record) -> Readings:
    """Return the readings by `metric` or `metric@context`."""
    return {
        f"{reading.metric}@{reading.context}" if reading.context else reading.metric: (
            reading.value
        )
        for reading in record.readings
    }


def problems(record: Record) -> list[str]:
    """Return the fields that became missing."""
    return [problem.field for problem in record.problems]


def times(record: Record) -> tuple[str | None, str | None, str | None, str | None]:
    """Return start, end, zone offset and local date as ISO text."""
    return (
        record.start.isoformat() if record.start else None,
        record.end.isoformat() if record.end else None,
        record.zone_offset,
        record.local_date.isoformat() if record.local_date else None,
    )

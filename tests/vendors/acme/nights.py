"""One Acme night as a record."""

from __future__ import annotations

from datetime import datetime

from biometrics.catalogue import Metric
from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import dig, extract, text
from biometrics.vendors.records import (
    SHORTEST_NIGHT_S,
    NightSignals,
    Problem,
    ReadingValue,
    Record,
)
from biometrics.vendors.times import Moment, credible, parse_moment
from tests.vendors.acme.mapping import NIGHT


def record_of(body: object, *, is_removed: bool, now: datetime) -> Record:
    """Return what a delivery says; raises UnreadableDeliveryError without an id."""
    record_id = text(body, "id", limit=100)
    if record_id is None:
        raise UnreadableDeliveryError("no usable id", field="id")
    changed = _moment(body, "changed_at", now=now)
    stamp = changed.at if changed else now
    if is_removed:
        return Record(
            record_type="sleep", record_id=record_id, action="deleted", stamp=stamp
        )
    start, end = _moment(body, "from", now=now), _moment(body, "to", now=now)
    problems = [
        Problem(field=name, reason="no credible time")
        for name, known in (("from", start), ("to", end))
        if known is None and dig(body, name) is not None
    ]
    if start and end and end.at < start.at:
        problems.append(Problem(field="to", reason="before from"))
        end = None
    extracted = extract(body, NIGHT)
    return Record(
        record_type="sleep",
        record_id=record_id,
        action="updated",
        stamp=stamp,
        start=start.at if start else None,
        end=end.at if end else None,
        zone_offset=end.zone_offset if end else None,
        local_date=end.local_date if end else None,
        readings=extracted.readings,
        night=_night(extracted.readings, end=end),
        problems=(*problems, *extracted.problems),
    )


def _night(
    readings: tuple[ReadingValue, ...], *, end: Moment | None
) -> NightSignals | None:
    said = {reading.metric: reading.value for reading in readings}
    if end is None or said.get(Metric.SLEEP_DURATION, 0.0) < SHORTEST_NIGHT_S:
        return None
    return NightSignals(
        series_id="RMSSD:acme:bed",
        kind="RMSSD",
        night=end.local_date,
        value_ms=said.get(Metric.HRV_RMSSD),
        rhr_bpm=said.get(Metric.RESTING_HEART_RATE),
    )


def _moment(body: object, name: str, *, now: datetime) -> Moment | None:
    moment = parse_moment(dig(body, name))
    return moment if moment is not None and credible(moment, now=now) else None

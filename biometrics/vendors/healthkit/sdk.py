"""Reads a sync of the Open Wearables SDK (iOS, and its Android sister).

Format: github.com/the-momentum/open_wearables_ios_sdk, Sources/…/Types.swift.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from biometrics.vendors.fields import dig, text
from biometrics.vendors.healthkit.harvest import Harvest, device_kind, rows
from biometrics.vendors.healthkit.mapping import SDK
from biometrics.vendors.healthkit.sleep import LONGEST_SEGMENT, Segment, stage_of
from biometrics.vendors.healthkit.tally import UNSUPPORTED
from biometrics.vendors.healthkit.workouts import (
    LONGEST_WORKOUT,
    SDK_SAMPLES,
    SDK_UNUSED,
    SDK_VALUES,
    Named,
    Track,
    readings_of,
)
from biometrics.vendors.records import JsonScalar, Record
from biometrics.vendors.times import Moment, credible, in_offset, parse_moment


def read_sync(data: dict[str, Any], harvest: Harvest) -> None:
    """Gather what the `data` of a sync holds; one bad record costs only itself."""
    tally = harvest.tally
    for record in rows(data, "records", where="data.records", tally=tally):
        _read_record(record, harvest)
    for segment in rows(data, "sleep", where="data.sleep", tally=tally):
        _read_segment(segment, harvest)
    for workout in rows(data, "workouts", where="data.workouts", tally=tally):
        _read_workout(workout, harvest)


def _read_record(record: object, harvest: Harvest) -> None:
    name = text(record, "type", limit=100)
    if name is None or not isinstance(record, dict):
        harvest.tally.add("data.records.type", "no text")
        return
    where = f"data.records.{name}"
    quantity = SDK.get(name)
    if quantity is None:
        harvest.tally.add(where, UNSUPPORTED)
        return
    span = _span(record, harvest, where=where)
    if span is not None:
        harvest.take(
            quantity,
            record.get("value"),
            unit=record.get("unit"),
            at=span[0],
            until=span[1],
            device=_device(record),
            where=where,
        )


def _read_segment(segment: object, harvest: Harvest) -> None:
    name = text(segment, "stage", limit=40)
    if name is None or not isinstance(segment, dict):
        harvest.tally.add("data.sleep.stage", "no text")
        return
    stage = stage_of(name)
    if stage is None:
        harvest.tally.add(f"data.sleep.{name}", UNSUPPORTED)
        return
    span = _span(segment, harvest, where="data.sleep")
    if span is None:
        return
    start, end = span
    if not timedelta() < end - start.at <= LONGEST_SEGMENT:
        harvest.tally.add("data.sleep.endDate", "not after startDate, or a day after")
        return
    harvest.segments.append(
        Segment(
            stage=stage,
            start=start.at,
            end=end,
            zone_offset=start.zone_offset,
            device=_device(segment),
            score=_sleep_score(segment),
        )
    )


def _sleep_score(segment: dict[str, Any]) -> float | None:
    for value in _values(segment):
        if value.get("type") == "sleepScore":
            score = value.get("value")
            if isinstance(score, int | float) and not isinstance(score, bool):
                return float(score) if 0 <= score <= 100 else None
    return None


def _read_workout(workout: object, harvest: Harvest) -> None:
    record_id = text(workout, "id")
    if record_id is None or not isinstance(workout, dict):
        harvest.tally.add("data.workouts.id", "no text")
        return
    span = _span(workout, harvest, where="data.workouts")
    if span is None:
        return
    start, end = span
    if end - start.at > LONGEST_WORKOUT:
        harvest.tally.add("data.workouts.endDate", "too long after startDate")
        end = start.at
    readings, problems = readings_of(_named_values(workout, harvest))
    track = Track(start=start.at, end=end)
    _read_track(workout, track, harvest)
    harvest.workouts.append(
        Record(
            record_type="workout",
            record_id=record_id,
            action="updated",
            stamp=harvest.stamp,
            start=start.at,
            end=end,
            zone_offset=start.zone_offset,
            local_date=start.local_date,
            readings=readings,
            series=track.series(),
            attributes=_workout_facts(workout, harvest),
            problems=problems,
        )
    )


def _named_values(workout: dict[str, Any], harvest: Harvest) -> Iterator[Named]:
    for value in _values(workout):
        name = text(value, "type", limit=60)
        quantity = SDK_VALUES.get(name or "")
        where = f"data.workouts.values.{name}"
        if quantity is not None:
            yield Named(where, quantity, value.get("value"), value.get("unit"))
        elif name not in SDK_UNUSED:
            harvest.tally.add(where, UNSUPPORTED)


def _read_track(workout: dict[str, Any], track: Track, harvest: Harvest) -> None:
    where = "data.workouts.samples"
    for sample in rows(workout, "samples", where=where, tally=harvest.tally):
        name = text(sample, "type", limit=60)
        quantity = SDK_SAMPLES.get(name or "")
        if quantity is None:
            harvest.tally.add(f"{where}.{name}", UNSUPPORTED)
            continue
        at = _moment(
            dig(sample, "timestamp"), zone=workout.get("zoneOffset"), harvest=harvest
        )
        refused = track.add(
            quantity, dig(sample, "value"), unit=dig(sample, "unit"), at=at
        )
        if refused:
            harvest.tally.add(f"{where}.{name}", refused)


def _workout_facts(workout: dict[str, Any], harvest: Harvest) -> dict[str, JsonScalar]:
    facts: dict[str, JsonScalar] = dict(harvest.facts(_device(workout)))
    activity = text(workout, "type", limit=60)
    if activity:
        facts["activity"] = activity.lower()
    indoor = [v for v in _values(workout) if v.get("type") == "indoorWorkout"]
    if indoor:
        facts["indoor"] = bool(indoor[0].get("value"))
    return facts


def _values(item: dict[str, Any]) -> list[dict[str, Any]]:
    values = item.get("values")
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def _span(
    item: dict[str, Any], harvest: Harvest, *, where: str
) -> tuple[Moment, datetime] | None:
    """Return start and end; without a credible start an item says nothing."""
    zone = item.get("zoneOffset")
    start = _moment(item.get("startDate"), zone=zone, harvest=harvest)
    if start is None:
        harvest.tally.add(f"{where}.startDate", "not a credible time")
        return None
    raw = item.get("endDate")
    if raw is None:
        return start, start.at
    end = _moment(raw, zone=zone, harvest=harvest)
    if end is None or end.at < start.at:
        harvest.tally.add(f"{where}.endDate", "not a credible time after startDate")
        return start, start.at
    return start, end.at


def _moment(raw: object, *, zone: object, harvest: Harvest) -> Moment | None:
    """Read a time and show it on the person's wall where the offset is known."""
    moment = parse_moment(raw)
    if moment is None or not credible(moment, now=harvest.now):
        return None
    if zone is None:
        return moment
    shown = in_offset(moment.at, zone) if isinstance(zone, str) else None
    if shown is None:
        harvest.tally.add("zoneOffset", "not an offset")
        return moment
    return shown


def _device(item: dict[str, Any]) -> str | None:
    source = item.get("source")
    keys = ("deviceType", "productType", "deviceModel", "deviceName", "name")
    return device_kind(*(dig(source, key) for key in keys))

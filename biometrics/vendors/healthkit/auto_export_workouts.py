"""Workouts in Health Auto Export, versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from biometrics.catalogue import Metric
from biometrics.vendors.fields import dig, text
from biometrics.vendors.healthkit.dates import parse_export_date
from biometrics.vendors.healthkit.harvest import Harvest, device_kind, rows
from biometrics.vendors.healthkit.mapping import Quantity
from biometrics.vendors.healthkit.units import METRES, SECONDS
from biometrics.vendors.healthkit.workouts import (
    EXPORT_SAMPLES,
    EXPORT_VALUES,
    LONGEST_WORKOUT,
    Named,
    Track,
    readings_of,
)
from biometrics.vendors.records import JsonScalar, Record
from biometrics.vendors.times import Moment, credible

_WHERE = "data.workouts"
_DURATION = Quantity(Metric.DURATION, SECONDS)
_ASCENT = Quantity(Metric.ALTITUDE_GAIN, METRES)


def read_workout(workout: object, harvest: Harvest) -> None:
    """Gather one workout; without a credible start it says nothing."""
    if not isinstance(workout, dict):
        harvest.tally.add(_WHERE, "not an object")
        return
    start = _moment(workout.get("start"), harvest)
    if start is None:
        harvest.tally.add(f"{_WHERE}.start", "not a credible time")
        return
    end = _end(workout, harvest, start=start.at)
    readings, problems = readings_of(_named_values(workout))
    track = Track(start=start.at, end=end or start.at)
    for key, quantities in EXPORT_SAMPLES.items():
        _read_track(workout, key, quantities, track=track, harvest=harvest)
    harvest.workouts.append(
        Record(
            record_type="workout",
            record_id=_record_id(workout, start=start.at),
            action="updated",
            stamp=harvest.stamp,
            start=start.at,
            end=end,
            zone_offset=start.zone_offset,
            local_date=start.local_date,
            readings=readings,
            series=track.series(),
            attributes=_facts(workout, harvest),
            problems=problems,
        )
    )


def _record_id(workout: dict[str, Any], *, start: datetime) -> str:
    """Return the workout's UUID; version 1 has none, then its start and kind name it."""
    kind = text(workout, "name", limit=60) or "workout"
    return text(workout, "id") or f"{start.isoformat()}/{kind}"


def _end(
    workout: dict[str, Any], harvest: Harvest, *, start: datetime
) -> datetime | None:
    raw = workout.get("end")
    if raw is None:
        return None
    end = _moment(raw, harvest)
    if end is None or not timedelta() <= end.at - start <= LONGEST_WORKOUT:
        harvest.tally.add(f"{_WHERE}.end", "not a credible time after start")
        return None
    return end.at


def _named_values(workout: dict[str, Any]) -> Iterator[Named]:
    duration = workout.get("duration")
    if duration is not None:
        # The one number without units: seconds, by the app's documents.
        yield Named(f"{_WHERE}.duration", _DURATION, duration, "s")
    for path, quantity in EXPORT_VALUES.items():
        value = dig(workout, path)
        # The same name may hold a list of samples instead.
        if isinstance(value, dict) and value.get("qty") is not None:
            yield Named(f"{_WHERE}.{path}", quantity, value["qty"], value.get("units"))
    ascent = dig(workout, "elevation.ascent")
    if ascent is not None:
        unit = dig(workout, "elevation.units")
        yield Named(f"{_WHERE}.elevation.ascent", _ASCENT, ascent, unit)


def _read_track(
    workout: dict[str, Any],
    key: str,
    quantities: dict[str, Quantity],
    *,
    track: Track,
    harvest: Harvest,
) -> None:
    where = f"{_WHERE}.{key}"
    if isinstance(workout.get(key), dict):
        return
    for point in rows(workout, key, where=where, tally=harvest.tally):
        if not isinstance(point, dict):
            harvest.tally.add(where, "not an object")
            continue
        at = _moment(point.get("date"), harvest)
        for name, quantity in quantities.items():
            if point.get(name) is None:
                continue
            refused = track.add(quantity, point[name], unit=point.get("units"), at=at)
            if refused:
                harvest.tally.add(f"{where}.{name}", refused)


def _facts(workout: dict[str, Any], harvest: Harvest) -> dict[str, JsonScalar]:
    facts = harvest.facts(device_kind(workout.get("source")))
    activity = text(workout, "name", limit=60)
    if activity:
        facts["activity"] = activity.lower()
    indoor = workout.get("isIndoor")
    if isinstance(indoor, bool):
        facts["indoor"] = indoor
    return facts


def _moment(raw: object, harvest: Harvest) -> Moment | None:
    moment = parse_export_date(raw)
    if moment is None or not credible(moment, now=harvest.now):
        return None
    return moment

"""Reads an export of the app Health Auto Export.

Formats: help.healthyapps.dev/en/health-auto-export/export-format. An export may cover
what an earlier one covered.
"""

from __future__ import annotations

import re
from typing import Any

from biometrics.vendors.fields import text
from biometrics.vendors.healthkit.auto_export_sleep import read_sleep
from biometrics.vendors.healthkit.auto_export_workouts import read_workout
from biometrics.vendors.healthkit.dates import parse_export_date
from biometrics.vendors.healthkit.harvest import Harvest, device_kind, rows
from biometrics.vendors.healthkit.mapping import EXPORT, EXPORT_MANY, Quantity
from biometrics.vendors.healthkit.tally import UNSUPPORTED
from biometrics.vendors.times import credible

_UNUSED_SECTIONS = (
    "stateOfMind",
    "medications",
    "symptoms",
    "cycleTracking",
    "ecg",
    "heartRateNotifications",
)
_SLEEP = "sleep_analysis"


def read_export(body: dict[str, Any], data: dict[str, Any], harvest: Harvest) -> None:
    """Gather what an export holds; one bad point costs only itself."""
    tally = harvest.tally
    for metric in rows(data, "metrics", where="data.metrics", tally=tally):
        _read_metric(metric, harvest)
    # Version 1 also wrote its workouts beside `data`.
    for parent in (data, body):
        for workout in rows(parent, "workouts", where="data.workouts", tally=tally):
            read_workout(workout, harvest)
    for section in _UNUSED_SECTIONS:
        if data.get(section):
            tally.add(f"data.{section}", UNSUPPORTED)


def _read_metric(metric: object, harvest: Harvest) -> None:
    name = text(metric, "name", limit=100)
    if name is None or not isinstance(metric, dict):
        harvest.tally.add("data.metrics.name", "no text")
        return
    where = f"data.metrics.{name}"
    points = rows(metric, "data", where=where, tally=harvest.tally)
    # Half a million points are held once, not once here and once in the body.
    metric.pop("data", None)
    spelling = _spelling(name)
    if spelling == _SLEEP:
        read_sleep(points, harvest, unit=metric.get("units"))
        return
    keyed = EXPORT_MANY.get(spelling)
    if keyed is None and spelling in EXPORT:
        keyed = {"qty": EXPORT[spelling]}
    if keyed is None:
        if points:
            harvest.tally.add(where, UNSUPPORTED)
        return
    for point in points:
        _read_point(point, keyed, harvest, unit=metric.get("units"), where=where)


def _read_point(
    point: object,
    keyed: dict[str, Quantity],
    harvest: Harvest,
    *,
    unit: object,
    where: str,
) -> None:
    if not isinstance(point, dict):
        harvest.tally.add(where, "not an object")
        return
    at = parse_export_date(point.get("date"))
    if at is None or not credible(at, now=harvest.now):
        harvest.tally.add(f"{where}.date", "not a credible time")
        return
    said = [key for key in keyed if point.get(key) is not None]
    if not said:
        harvest.tally.add(where, "no value")
    device = device_kind(point.get("source")) if said else None
    for key in said:
        harvest.take(
            keyed[key],
            point[key],
            unit=unit,
            at=at,
            until=at.at,
            device=device,
            where=f"{where}.{key}",
        )


def _spelling(name: str) -> str:
    """Bring a display name (Weight & Body Mass) to the app's other spelling."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")

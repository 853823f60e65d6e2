"""Pushes of Health Auto Export: metrics by name, local times, hours for sleep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout, day_of, so_far
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, draw_for, night_of
from auren.devstack.simulator.stages import AWAKE, DEEP, LIGHT, REM
from auren.devstack.simulator.wire import Delivery, Planned, compact, stable_uuid

SOURCE = "Apple Watch"
_KJ_PER_KCAL = 4.184


def events(person: Person, on: date) -> list[Planned]:
    """Return the automation's pushes of that day."""
    planned: list[Planned] = []
    night, day = night_of(person, on), day_of(person, on)
    if night is not None:
        at = night.end + timedelta(minutes=30)
        planned.append(
            Planned(
                at=at,
                delivery=push(person, at=at, metrics=_night(person, night)),
                essential=True,
            )
        )
    if day is not None:
        planned += _day_events(person, day)
    return planned


def push(
    person: Person,
    *,
    at: datetime,
    metrics: Sequence[Mapping[str, Any]] = (),
    workouts: Sequence[Workout] = (),
) -> Delivery:
    """Send one run of the automation."""
    data: dict[str, Any] = {"metrics": list(metrics)}
    if workouts:
        data["workouts"] = [_workout(person, bout) for bout in workouts]
    return Delivery(
        sender="hae",
        account=person.account,
        kind="export",
        path="/webhooks/healthkit",
        body=compact({"data": data}),
        headers={
            "Content-Type": "application/json",
            "automation-name": "AUREN",
            "automation-id": stable_uuid(person.account, "automation").upper(),
            "automation-aggregation": "Minutes",
            "automation-period": "Since Last Sync",
            "session-id": stable_uuid(person.account, at.isoformat()).upper(),
        },
    )


def metric(
    name: str, units: str, points: Sequence[tuple[datetime, float]]
) -> dict[str, Any]:
    """Return a metric with one `qty` for each moment."""
    return {
        "name": name,
        "units": units,
        "data": [
            {"qty": value, "date": local(at), "source": SOURCE} for at, value in points
        ],
    }


def heart_rate(
    points: Sequence[tuple[datetime, int]],
) -> dict[str, Any]:
    """Return heart rates as the app aggregates them: least, mean and greatest."""
    return {
        "name": "heart_rate",
        "units": "count/min",
        "data": [
            {
                "Min": bpm - 2,
                "Avg": bpm,
                "Max": bpm + 3,
                "date": local(at),
                "source": SOURCE,
            }
            for at, bpm in points
        ],
    }


def day_metrics(
    before: Day | None, after: Day, *, at: datetime
) -> list[dict[str, Any]]:
    """Return steps and energy counted between two states of a day."""
    steps = after.steps - (before.steps if before else 0)
    energy = after.active_kcal - (before.active_kcal if before else 0)
    if steps <= 0:
        return []
    moment = at.replace(second=0, microsecond=0)
    return [
        metric("step_count", "count", [(moment, steps)]),
        metric("active_energy", "kJ", [(moment, round(energy * _KJ_PER_KCAL, 2))]),
    ]


def local(moment: datetime) -> str:
    """Return a time as the app writes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S %z")


def _night(person: Person, night: Night) -> list[dict[str, Any]]:
    draw = draw_for(person, "hae-samples", night.on)
    length = night.end - night.start
    spots = [
        (
            night.start + length * share,
            round(night.sdnn_ms * draw.lognormvariate(0, 0.12), 2),
        )
        for share in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
    ]
    return [
        _sleep(night),
        metric("heart_rate_variability", "ms", spots),
        metric("resting_heart_rate", "count/min", [(night.end, night.resting_bpm)]),
        metric("respiratory_rate", "count/min", [(night.end, night.breaths)]),
        metric("blood_oxygen_saturation", "%", [(night.end, night.spo2)]),
        metric("apple_sleeping_wrist_temperature", "degC", [(night.end, night.skin_c)]),
    ]


def _sleep(night: Night) -> dict[str, Any]:
    summary = {
        "date": local(night.end),
        "totalSleep": night.asleep_s / 3600,
        "asleep": 0,
        "core": night.seconds(LIGHT) / 3600,
        "deep": night.seconds(DEEP) / 3600,
        "rem": night.seconds(REM) / 3600,
        "awake": night.seconds(AWAKE) / 3600,
        "inBed": 0,
        "sleepStart": local(night.start),
        "sleepEnd": local(night.end),
        "inBedStart": local(night.start),
        "inBedEnd": local(night.end),
        "source": SOURCE,
    }
    return {"name": "sleep_analysis", "units": "hr", "data": [summary]}


def _day_events(person: Person, day: Day) -> list[Planned]:
    planned: list[Planned] = []
    before: Day | None = None
    for hour in (12, 17, 22):
        at = day.midnight + timedelta(hours=hour, minutes=11)
        now = so_far(day, at)
        delivery = push(person, at=at, metrics=day_metrics(before, now, at=at))
        planned.append(Planned(at=at, delivery=delivery, essential=True))
        before = now
    for bout in day.workouts:
        at = bout.end + timedelta(minutes=8)
        planned.append(Planned(at=at, delivery=push(person, at=at, workouts=(bout,))))
    return planned


def _workout(person: Person, bout: Workout) -> dict[str, Any]:
    return {
        "id": stable_uuid(
            person.account, "workout", bout.start.isoformat(), bout.number
        ).upper(),
        "name": bout.sport.replace("_", " ").title(),
        "start": local(bout.start),
        "end": local(bout.end),
        "duration": bout.seconds,
        "activeEnergyBurned": {
            "qty": round(bout.kcal * _KJ_PER_KCAL, 2),
            "units": "kJ",
        },
        "distance": {"qty": round(bout.distance_m / 1000, 3), "units": "km"},
        "heartRateData": [
            {
                "Min": bout.average_bpm - 20,
                "Avg": bout.average_bpm,
                "Max": bout.max_bpm,
                "units": "bpm",
                "date": local(bout.start + timedelta(minutes=5)),
                "source": SOURCE,
            }
        ],
    }

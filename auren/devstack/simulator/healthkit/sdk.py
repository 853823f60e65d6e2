"""Pushes of the Open Wearables SDK: HealthKit samples, times in UTC, ids upper case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout, day_of, so_far
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, draw_for, night_of
from auren.devstack.simulator.stages import AWAKE, DEEP, EPOCH_S, LIGHT, REM
from auren.devstack.simulator.wire import Delivery, Planned, compact, stable_uuid

_STAGE = {AWAKE: "awake", LIGHT: "light", DEEP: "deep", REM: "rem"}
_WATCH = {
    "name": "Apple Watch",
    "bundleIdentifier": "com.apple.health",
    "deviceManufacturer": "Apple Inc.",
    "deviceModel": "Watch",
    "productType": "Watch7,5",
    "deviceSoftwareVersion": "26.1",
    "operatingSystemVersion": {
        "majorVersion": 26,
        "minorVersion": 1,
        "patchVersion": 0,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One quantity sample; `kind` is the HealthKit identifier without its prefix."""

    kind: str
    unit: str
    value: float
    start: datetime
    end: datetime


def events(person: Person, on: date) -> list[Planned]:
    """Return the pushes of that day: the night in the morning, then the day in parts."""
    planned: list[Planned] = []
    night, day = night_of(person, on), day_of(person, on)
    if night is not None:
        # The phone is locked until the wearer picks it up.
        pause = draw_for(person, "sdk-sync", on).randint(5, 40)
        at = night.end + timedelta(minutes=pause)
        planned.append(
            Planned(at=at, delivery=_night(person, night, at=at), essential=True)
        )
    if day is not None:
        planned += _day_events(person, day)
    return planned


def push(
    person: Person,
    *,
    at: datetime,
    samples: Iterable[Sample] = (),
    sleep: Sequence[dict[str, Any]] = (),
    workouts: Iterable[Workout] = (),
    kind: str = "records",
) -> Delivery:
    """Send one sync of the SDK."""
    payload = {
        "provider": "apple",
        "sdkVersion": "0.6.0",
        "syncTimestamp": _utc(at),
        "data": {
            "records": [_record(person, sample) for sample in samples],
            "sleep": list(sleep),
            "workouts": [_workout(person, bout) for bout in workouts],
        },
    }
    return Delivery(
        sender="sdk",
        account=person.account,
        kind=f"sync.{kind}",
        path="/webhooks/healthkit",
        body=compact(payload),
        headers={"Content-Type": "application/json"},
    )


def day_samples(before: Day | None, after: Day, *, at: datetime) -> list[Sample]:
    """Return what was counted between two states of a day, ending at `at`."""
    steps = after.steps - (before.steps if before else 0)
    if steps <= 0:
        return []
    metres = after.distance_m - (before.distance_m if before else 0)
    energy = after.active_kcal - (before.active_kcal if before else 0)
    # A bout of walking at the usual pace, or as much of it as the day has had.
    walked = min(timedelta(seconds=round(steps * 0.6) + 1), at - after.midnight)
    span = {"start": at - walked, "end": at}
    return [
        Sample(kind="StepCount", unit="count", value=steps, **span),
        Sample(kind="DistanceWalkingRunning", unit="m", value=round(metres, 1), **span),
        Sample(kind="ActiveEnergyBurned", unit="Cal", value=round(energy, 1), **span),
    ]


def spot(kind: str, unit: str, value: float, at: datetime) -> Sample:
    """Return a sample of an instant."""
    return Sample(kind=kind, unit=unit, value=value, start=at, end=at)


def _night(person: Person, night: Night, *, at: datetime) -> Delivery:
    return push(
        person,
        at=at,
        samples=_night_samples(person, night),
        sleep=_segments(person, night),
        kind="night",
    )


def _night_samples(person: Person, night: Night) -> list[Sample]:
    draw = draw_for(person, "sdk-samples", night.on)
    length = night.end - night.start
    found = [
        # SDNN, as Apple measures it: a handful of one-minute readings.
        Sample(
            kind="HeartRateVariabilitySDNN",
            unit="ms",
            value=round(night.sdnn_ms * draw.lognormvariate(0, 0.12), 2),
            start=night.start + length * share,
            end=night.start + length * share + timedelta(minutes=1),
        )
        for share in (0.12, 0.25, 0.37, 0.5, 0.63, 0.76, 0.9)
    ]
    for place in range(2, len(night.heart_rates), 6):
        moment = night.start + timedelta(seconds=EPOCH_S * place)
        found.append(spot("HeartRate", "bpm", night.heart_rates[place], moment))
    for share in (0.2, 0.5, 0.8):
        moment = night.start + length * share
        breaths = round(night.breaths + draw.gauss(0, 0.2), 2)
        found.append(spot("RespiratoryRate", "breaths/min", breaths, moment))
        found.append(spot("OxygenSaturation", "%", night.spo2, moment))
    found.append(spot("RestingHeartRate", "bpm", night.resting_bpm, night.end))
    found.append(
        Sample(
            kind="AppleSleepingWristTemperature",
            unit="degC",
            value=night.skin_c,
            start=night.start,
            end=night.end,
        )
    )
    return found


def _segments(person: Person, night: Night) -> list[dict[str, Any]]:
    """Return the sleep as overlapping segments: in bed, and one for each stage run."""
    runs: list[tuple[str, int, int]] = [("in_bed", 0, len(night.stages))]
    begin = 0
    for place in range(1, len(night.stages) + 1):
        last = place == len(night.stages)
        if last or night.stages[place] != night.stages[begin]:
            runs.append((_STAGE[night.stages[begin]], begin, place))
            begin = place
    return [
        {
            "id": _id(person, "sleep", stage, night.on, first),
            "stage": stage,
            "startDate": _utc(night.start + timedelta(seconds=EPOCH_S * first)),
            "endDate": _utc(night.start + timedelta(seconds=EPOCH_S * end)),
            "zoneOffset": _offset(night.end),
            "source": _WATCH,
        }
        for stage, first, end in runs
    ]


def _day_events(person: Person, day: Day) -> list[Planned]:
    planned: list[Planned] = []
    before: Day | None = None
    for hour in (10, 13, 16, 19, 22):
        at = day.midnight + timedelta(hours=hour, minutes=2)
        now = so_far(day, at)
        delivery = push(
            person, at=at, samples=day_samples(before, now, at=at), kind="day"
        )
        planned.append(Planned(at=at, delivery=delivery, essential=True))
        before = now
    for bout in day.workouts:
        at = bout.end + timedelta(minutes=3)
        delivery = push(person, at=at, workouts=(bout,), kind="workout")
        planned.append(Planned(at=at, delivery=delivery))
    return planned


def _record(person: Person, sample: Sample) -> dict[str, Any]:
    return {
        "id": _id(person, sample.kind, sample.start.isoformat(), sample.value),
        "type": f"HKQuantityTypeIdentifier{sample.kind}",
        "unit": sample.unit,
        "value": sample.value,
        "startDate": _utc(sample.start),
        "endDate": _utc(sample.end),
        "zoneOffset": _offset(sample.end),
        "source": _WATCH,
    }


def _workout(person: Person, bout: Workout) -> dict[str, Any]:
    values = (
        ("duration", "s", bout.seconds),
        ("activeEnergyBurned", "kcal", bout.kcal),
        ("averageHeartRate", "bpm", bout.average_bpm),
        ("maxHeartRate", "bpm", bout.max_bpm),
        ("distance", "m", bout.distance_m),
    )
    return {
        "id": _id(person, "workout", bout.start.isoformat(), bout.number),
        "type": bout.sport,
        "startDate": _utc(bout.start),
        "endDate": _utc(bout.end),
        "zoneOffset": _offset(bout.end),
        "source": _WATCH,
        "values": [
            {"type": kind, "unit": unit, "value": value} for kind, unit, value in values
        ],
    }


def _id(person: Person, *parts: object) -> str:
    return stable_uuid(person.seed, person.slug, "healthkit", *parts).upper()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _offset(moment: datetime) -> str:
    text = moment.strftime("%z")
    return f"{text[:3]}:{text[3:]}"

"""Oura's thin notifications: when they come and what they announce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from auren.devstack.simulator.days import Day, Workout, day_of, so_far
from auren.devstack.simulator.oura import documents
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, draw_for, misread, night_of
from auren.devstack.simulator.stages import EPOCH_S
from auren.devstack.simulator.wire import (
    Delivery,
    Document,
    DocumentRef,
    Planned,
    compact,
    stable_uuid,
)

Event = Literal["create", "update", "delete"]

# The webhook says vo2_max where the path of the API says vO2_max.
_COLLECTION = {"vo2_max": "vO2_max"}


def events(person: Person, on: date) -> list[Planned]:
    """Return what Oura sends about the night that ended, and the day that began, then."""
    planned: list[Planned] = []
    night = night_of(person, on)
    if night is not None:
        planned += _night_events(person, night)
    day = day_of(person, on)
    if day is not None:
        planned += _day_events(person, day)
    return planned


def activity(person: Person, day: Day, *, at: datetime, event: Event) -> Delivery:
    """Announce the day's activity as it stands in `day`."""
    return _announce(
        person,
        "daily_activity",
        day.on,
        documents.daily_activity(day),
        at=at,
        event=event,
    )


def workout(person: Person, bout: Workout, *, at: datetime) -> Delivery:
    """Announce a workout."""
    return _announce(
        person,
        "workout",
        bout.start.date(),
        documents.workout(bout),
        at=at,
        event="create",
        number=bout.number,
    )


def workout_removed(person: Person, bout: Workout, *, at: datetime) -> Delivery:
    """Announce that the wearer deleted a workout."""
    key = _key(person, "workout", bout.start.date(), number=bout.number)
    return Delivery(
        sender="oura",
        account=person.account,
        kind="workout.delete",
        path="/webhooks/oura",
        body=_notification(person, "workout", key, at=at, event="delete"),
        headers={"Content-Type": "application/json"},
        removed=(
            DocumentRef(
                vendor="oura", account=person.account, collection="workout", key=key
            ),
        ),
    )


def _night_events(person: Person, night: Night) -> list[Planned]:
    draw = draw_for(person, "oura-sync", night.on)
    # Sleep reaches the cloud when the wearer opens the app in the morning.
    at = night.end + timedelta(minutes=draw.randint(8, 50))
    is_misread = person.episode("misread", night.on) is not None
    told = misread(night) if is_misread else night
    records: list[tuple[str, Mapping[str, Any], bool]] = [
        ("sleep", documents.sleep(person, told), not is_misread),
        ("daily_sleep", documents.daily_sleep(night), True),
        ("daily_readiness", documents.daily_readiness(person, night), True),
        ("daily_spo2", documents.daily_spo2(night, draw.uniform(2, 9)), False),
    ]
    if night.on.weekday() == 0:
        records.append(("vo2_max", documents.vo2_max(person, night), False))
    planned = [
        Planned(
            at=at + timedelta(seconds=place),
            delivery=_announce(person, kind, night.on, body, at=at, event="create"),
            essential=essential,
        )
        for place, (kind, body, essential) in enumerate(records)
    ]
    if is_misread:
        at += timedelta(hours=6)
        planned.append(replace(_rescored(person, night, at=at), essential=True))
    elif draw.random() < 0.1:
        planned.append(_rescored(person, night, at=at + timedelta(hours=3)))
    return planned


def _rescored(person: Person, night: Night, *, at: datetime) -> Planned:
    """Return the update after the wearer corrected the bedtime in the app."""
    body = documents.sleep(person, night)
    body["sleep_analysis_reason"] = "bedtime_edit"
    body["latency"] = night.latency_s + EPOCH_S
    return Planned(
        at=at,
        delivery=_announce(person, "sleep", night.on, body, at=at, event="update"),
    )


def _day_events(person: Person, day: Day) -> list[Planned]:
    planned = []
    for hour, event in ((9, "create"), (15, "update"), (21, "update")):
        at = day.midnight + timedelta(hours=hour, minutes=7)
        kind: Event = "create" if event == "create" else "update"
        delivery = activity(person, so_far(day, at), at=at, event=kind)
        planned.append(Planned(at=at, delivery=delivery))
    # Oura's day of activity closes at four in the morning.
    closed = day.midnight + timedelta(hours=28, minutes=6)
    planned.append(
        Planned(
            at=closed,
            delivery=activity(person, day, at=closed, event="update"),
            essential=True,
        )
    )
    stress_at = day.midnight + timedelta(hours=22)
    stress = _announce(
        person,
        "daily_stress",
        day.on,
        documents.daily_stress(day),
        at=stress_at,
        event="create",
    )
    planned.append(Planned(at=stress_at, delivery=stress))
    for bout in day.workouts:
        at = bout.end + timedelta(minutes=6)
        planned.append(Planned(at=at, delivery=workout(person, bout, at=at)))
    return planned


def _key(person: Person, kind: str, on: date, *, number: int = 0) -> str:
    return stable_uuid(person.seed, person.slug, "oura", kind, on, number)


def _announce(
    person: Person,
    kind: str,
    on: date,
    body: Mapping[str, Any],
    *,
    at: datetime,
    event: Event,
    number: int = 0,
) -> Delivery:
    key = _key(person, kind, on, number=number)
    document = Document(
        vendor="oura",
        account=person.account,
        collection=_COLLECTION.get(kind, kind),
        key=key,
        at=on.isoformat(),
        body={"id": key, "day": on.isoformat(), **body},
    )
    return Delivery(
        sender="oura",
        account=person.account,
        kind=f"{kind}.{event}",
        path="/webhooks/oura",
        body=_notification(person, kind, key, at=at, event=event),
        headers={"Content-Type": "application/json"},
        documents=(document,),
    )


def _notification(
    person: Person, kind: str, key: str, *, at: datetime, event: Event
) -> bytes:
    return compact(
        {
            "event_type": event,
            "data_type": kind,
            "object_id": key,
            "event_time": at.isoformat(timespec="milliseconds"),
            "user_id": person.account,
        }
    )

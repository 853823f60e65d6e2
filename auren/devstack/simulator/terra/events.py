"""Terra's deliveries: everything to one place, the data in the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Day, Workout, day_of, so_far
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, draw_for, night_of
from auren.devstack.simulator.terra import payloads
from auren.devstack.simulator.wire import (
    Delivery,
    Document,
    Planned,
    compact,
    stable_uuid,
)


def events(person: Person, on: date) -> list[Planned]:
    """Return what Terra sends about that day and the night before it."""
    planned: list[Planned] = []
    night, day = night_of(person, on), day_of(person, on)
    if night is not None:
        pause = draw_for(person, "terra-sync", on).randint(10, 45)
        at = night.end + timedelta(minutes=pause)
        planned.append(
            Planned(at=at, delivery=sleep(person, night, at=at), essential=True)
        )
    if day is not None:
        planned += _day_events(person, day)
    return planned


def connected(person: Person, *, at: datetime) -> Delivery:
    """Tell that the person has just connected a watch."""
    payload = {
        "type": "auth",
        "status": "success",
        "message": "User has successfully authenticated",
        "widget_session_id": stable_uuid(person.account, "session", at.isoformat()),
        "user": payloads.user(person),
    }
    return _deliver(person, payload, at=at)


def sleep(person: Person, night: Night, *, at: datetime) -> Delivery:
    """Deliver a main sleep."""
    return _data(person, "sleep", [payloads.sleep(person, night)], at=at)


def daily(person: Person, day: Day, *, at: datetime) -> Delivery:
    """Deliver a day as it stands; a later one of the same day replaces it."""
    night = night_of(person, day.on)
    resting = night.resting_bpm if night else round(person.traits.resting_bpm)
    return _data(person, "daily", [payloads.daily(day, resting_bpm=resting)], at=at)


def workout(person: Person, bout: Workout, *, at: datetime) -> Delivery:
    """Deliver a workout."""
    return _data(person, "activity", [payloads.activity(person, bout)], at=at)


def body(
    person: Person,
    day: Day,
    *,
    rates: Sequence[tuple[datetime, int]],
    at: datetime,
    weight_kg: float | None = None,
) -> Delivery:
    """Deliver spot heart rates and, if given, a weight."""
    entry = payloads.body(day, rates=rates, weight_kg=weight_kg)
    return _data(person, "body", [entry], at=at)


def _day_events(person: Person, day: Day) -> list[Planned]:
    planned: list[Planned] = []
    for hour in (11, 19):
        at = day.midnight + timedelta(hours=hour, minutes=4)
        planned.append(Planned(at=at, delivery=daily(person, so_far(day, at), at=at)))
    over = day.midnight + timedelta(hours=24, minutes=12)
    planned.append(
        Planned(at=over, delivery=daily(person, day, at=over), essential=True)
    )
    for bout in day.workouts:
        at = bout.end + timedelta(minutes=5)
        planned.append(Planned(at=at, delivery=workout(person, bout, at=at)))
    if day.on.weekday() == 6:
        at = day.midnight + timedelta(hours=9)
        rates = [(at, round(person.traits.resting_bpm) + 12)]
        weight = person.traits.weight_kg
        delivery = body(person, day, rates=rates, at=at, weight_kg=weight)
        planned.append(Planned(at=at, delivery=delivery))
    return planned


def _data(
    person: Person, kind: str, entries: Sequence[Mapping[str, Any]], *, at: datetime
) -> Delivery:
    payload = {
        "type": kind,
        "version": payloads.VERSION,
        "user": payloads.user(person, at=at),
        "data": list(entries),
    }
    stored = tuple(_stored(person, kind, entry) for entry in entries)
    return _deliver(person, payload, at=at, stored=stored)


def _stored(person: Person, kind: str, entry: Mapping[str, Any]) -> Document:
    """Keep what was pushed, so that it can be asked for again."""
    metadata = entry["metadata"]
    start = str(metadata["start_time"])
    return Document(
        vendor="terra",
        account=person.account,
        collection=kind,
        # Terra's own keys: the summary where there is one, else the calendar day.
        key=str(metadata.get("summary_id") or start[:10]),
        at=start[:10],
        body=entry,
    )


def _deliver(
    person: Person,
    payload: Mapping[str, Any],
    *,
    at: datetime,
    stored: tuple[Document, ...] = (),
) -> Delivery:
    kind = str(payload["type"])
    return Delivery(
        sender="terra",
        account=person.account,
        kind=kind,
        path="/webhooks/terra",
        body=compact(payload),
        headers={
            "Content-Type": "application/json",
            "X-Terra-Trace-Id": stable_uuid(person.account, kind, at.isoformat()),
            "X-Terra-Ordering-Timestamp": str(round(at.timestamp() * 1000)),
        },
        documents=stored,
    )

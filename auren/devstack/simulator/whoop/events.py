"""WHOOP's notifications: ids only, and a trace id for each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from auren.devstack.simulator.days import Workout, day_of
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, draw_for, night_of
from auren.devstack.simulator.whoop import documents
from auren.devstack.simulator.wire import (
    Delivery,
    Document,
    DocumentRef,
    Planned,
    compact,
    stable_uuid,
    utc_ms,
)


def events(person: Person, on: date) -> list[Planned]:
    """Return what WHOOP sends about the night that ended that day, and its workouts."""
    planned: list[Planned] = []
    night = night_of(person, on)
    if night is not None:
        planned += _night_events(person, night)
    day = day_of(person, on)
    for bout in day.workouts if day else ():
        at = bout.end + timedelta(minutes=4)
        planned.append(Planned(at=at, delivery=workout(person, bout, at=at)))
    return planned


def workout(person: Person, bout: Workout, *, at: datetime) -> Delivery:
    """Announce a workout, new or scored again."""
    key = documents.workout_id(person, bout)
    body = documents.workout(person, bout, updated=at)
    return _notify(
        person,
        "workout.updated",
        key,
        at=at,
        stored=(_stored(person, "workout", key, body, at=body["start"]),),
    )


def workout_removed(person: Person, bout: Workout, *, at: datetime) -> Delivery:
    """Announce that a workout is gone."""
    key = documents.workout_id(person, bout)
    gone = DocumentRef(
        vendor="whoop", account=person.account, collection="workout", key=key
    )
    return _notify(person, "workout.deleted", key, at=at, removed=(gone,))


def recovery(
    person: Person, night: Night, *, at: datetime, skin_shift: float = 0.0
) -> Delivery:
    """Announce a recovery; its id is that of the sleep, as WHOOP has it."""
    body = documents.recovery(person, night, updated=at, skin_shift=skin_shift)
    cycle = str(body["cycle_id"])
    sleep = documents.sleep(person, night, updated=at)
    return _notify(
        person,
        "recovery.updated",
        body["sleep_id"],
        at=at,
        stored=(
            # The only way to a recovery leads through its sleep.
            _stored(person, "sleep", sleep["id"], sleep, at=sleep["start"]),
            _stored(person, "recovery", cycle, body, at=utc_ms(night.start)),
        ),
    )


def _night_events(person: Person, night: Night) -> list[Planned]:
    draw = draw_for(person, "whoop-sync", night.on)
    at = night.end + timedelta(minutes=draw.randint(3, 20))
    planned: list[Planned] = []
    if draw.random() < 0.15:
        # Processing takes a while now and then: first without, then with its score.
        planned.append(
            Planned(at=at, delivery=_sleep(person, night, at=at, scored=False))
        )
        at += timedelta(minutes=9)
    planned.append(
        Planned(
            at=at,
            delivery=_sleep(person, night, at=at, scored=True),
            essential=True,
        )
    )
    later = at + timedelta(seconds=20)
    planned.append(
        Planned(at=later, delivery=recovery(person, night, at=later), essential=True)
    )
    return planned


def _sleep(person: Person, night: Night, *, at: datetime, scored: bool) -> Delivery:
    """Announce a sleep. The cycles that begin and end with it have no event of their own."""
    key = documents.sleep_id(person, night.on)
    body = documents.sleep(person, night, updated=at, scored=scored)
    return _notify(
        person,
        "sleep.updated",
        key,
        at=at,
        stored=(
            _stored(person, "sleep", key, body, at=body["start"]),
            *_cycles(person, night.on, at=at),
        ),
    )


def _cycles(person: Person, on: date, *, at: datetime) -> tuple[Document, ...]:
    found = []
    for day in (on - timedelta(days=1), on):
        body = documents.cycle(person, day, updated=at)
        if body is not None:
            key = str(body["id"])
            found.append(_stored(person, "cycle", key, body, at=body["start"]))
    return tuple(found)


def _stored(
    person: Person, collection: str, key: str, body: Mapping[str, Any], *, at: str
) -> Document:
    return Document(
        vendor="whoop",
        account=person.account,
        collection=collection,
        key=key,
        at=at,
        body=body,
    )


def _notify(
    person: Person,
    kind: str,
    key: str,
    *,
    at: datetime,
    stored: tuple[Document, ...] = (),
    removed: tuple[DocumentRef, ...] = (),
) -> Delivery:
    return Delivery(
        sender="whoop",
        account=person.account,
        kind=kind,
        path="/webhooks/whoop",
        body=compact(
            {
                "user_id": int(person.account),
                "id": key,
                "type": kind,
                "trace_id": stable_uuid(person.account, kind, key, at.isoformat()),
            }
        ),
        headers={"Content-Type": "application/json"},
        documents=stored,
        removed=removed,
    )

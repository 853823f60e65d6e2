"""Everybody's deliveries in the order in which the vendors would send them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

from auren.devstack.simulator.healthkit import hae, sdk
from auren.devstack.simulator.oura import events as oura
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.terra import events as terra
from auren.devstack.simulator.whoop import events as whoop
from auren.devstack.simulator.wire import Planned

_EVENTS: dict[str, Callable[[Person, date], list[Planned]]] = {
    "oura": oura.events,
    "whoop": whoop.events,
    "terra": terra.events,
    "sdk": sdk.events,
    "hae": hae.events,
}
# A day's last delivery comes a night later, a zone lies up to a day from UTC.
_REACH = timedelta(days=3)


def between(
    people: Iterable[Person], *, since: datetime, until: datetime
) -> list[tuple[Person, Planned]]:
    """Return everything planned from `since` (included) to `until` (excluded)."""
    found = [
        (person, planned)
        for person in people
        for on in _days(since - _REACH, until + timedelta(days=1))
        for planned in _EVENTS[person.sender](person, on)
        if since <= planned.at < until
    ]
    return sorted(found, key=lambda pair: (pair[1].at, pair[0].slug))


def _days(since: datetime, until: datetime) -> Iterator[date]:
    day = since.date()
    while day <= until.date():
        yield day
        day += timedelta(days=1)

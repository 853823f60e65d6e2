"""The small updates of a running day: steps go up, hearts are read, people walk."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auren.devstack.simulator.days import (
    Day,
    Workout,
    day_of,
    moved,
    short_walk,
    so_far,
)
from auren.devstack.simulator.healthkit import hae, sdk
from auren.devstack.simulator.oura import events as oura
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import Night, night_of
from auren.devstack.simulator.terra import events as terra
from auren.devstack.simulator.whoop import events as whoop
from auren.devstack.simulator.wire import Delivery

# How often each sender has something small to say, relative to the others. WHOOP tells
# nothing of a running day but workouts and new scores.
_WEIGHT = {"oura": 5, "whoop": 1, "terra": 6, "sdk": 6, "hae": 5}


@dataclass(slots=True)
class _Seen:
    """What somebody's current day has shown so far."""

    day: Day
    extra_steps: int = 0
    walk: Workout | None = None


@dataclass(slots=True)
class Pulse:
    """Makes up small deliveries, one after another; each continues its person's day."""

    people: Sequence[Person]
    draw: random.Random
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _turn: Counter[str] = field(default_factory=Counter)

    def next(self, now: datetime) -> Delivery | None:
        """Return a delivery for `now`, None when nobody wears a device."""
        wearing = [person for person in self.people if _today(person, now) is not None]
        if not wearing:
            return None
        weights = [_WEIGHT[person.sender] for person in wearing]
        person = self.draw.choices(wearing, weights)[0]
        at = now.astimezone(person.zone(now.date()))
        self._turn[person.slug] += 1
        before, after = self._advance(person, at)
        if person.sender == "oura":
            return self._oura(person, after, at=at)
        if person.sender == "whoop":
            return self._whoop(person, at=at)
        if person.sender == "terra":
            return self._terra(person, after, at=at)
        return self._healthkit(person, before, after, at=at)

    def _advance(self, person: Person, at: datetime) -> tuple[Day | None, Day]:
        """Move the person's day on to `at`; return its last and its new state."""
        whole = day_of(person, at.date())
        assert whole is not None, "only people with a device on are chosen"
        seen = self._seen.get(person.slug)
        if seen is not None and seen.day.on != whole.on:
            seen = None
        extra = (seen.extra_steps if seen else 0) + self.draw.randint(4, 28)
        after = moved(so_far(whole, at), extra)
        before = seen.day if seen else None
        walk = seen.walk if seen else None
        self._seen[person.slug] = _Seen(day=after, extra_steps=extra, walk=walk)
        return before, after

    def _oura(self, person: Person, day: Day, *, at: datetime) -> Delivery:
        turn, seen = self._turn[person.slug], self._seen[person.slug]
        if turn % 40 == 20:
            seen.walk = self._walk(person, at)
            return oura.workout(person, seen.walk, at=at)
        if turn % 120 == 30 and seen.walk is not None:
            gone, seen.walk = seen.walk, None
            return oura.workout_removed(person, gone, at=at)
        return oura.activity(person, day, at=at, event="update")

    def _whoop(self, person: Person, *, at: datetime) -> Delivery:
        turn, seen = self._turn[person.slug], self._seen[person.slug]
        night = _last_night(person, at)
        if turn % 4 and night is not None:
            shift = round(self.draw.uniform(-0.2, 0.2), 2)
            return whoop.recovery(person, night, at=at, skin_shift=shift)
        if turn % 40 == 36 and seen.walk is not None:
            gone, seen.walk = seen.walk, None
            return whoop.workout_removed(person, gone, at=at)
        seen.walk = seen.walk or self._walk(person, at)
        return whoop.workout(person, seen.walk, at=at)

    def _terra(self, person: Person, day: Day, *, at: datetime) -> Delivery:
        turn = self._turn[person.slug]
        if turn % 60 == 30:
            return terra.workout(person, self._walk(person, at), at=at)
        if turn % 3 == 0:
            return terra.body(person, day, rates=self._rates(person, at), at=at)
        return terra.daily(person, day, at=at)

    def _healthkit(
        self, person: Person, before: Day | None, after: Day, *, at: datetime
    ) -> Delivery:
        rates = self._rates(person, at)
        if person.sender == "hae":
            metrics = [hae.heart_rate(rates), *hae.day_metrics(before, after, at=at)]
            return hae.push(person, at=at, metrics=metrics)
        samples = [sdk.spot("HeartRate", "bpm", bpm, moment) for moment, bpm in rates]
        samples += sdk.day_samples(before, after, at=at)
        return sdk.push(person, at=at, samples=samples, kind="live")

    def _rates(self, person: Person, at: datetime) -> list[tuple[datetime, int]]:
        """Return the heart rates of the last five minutes."""
        usual = person.traits.resting_bpm + 16
        return [
            (
                at - timedelta(minutes=back),
                round(usual + self.draw.gauss(0, 5)),
            )
            for back in (4, 3, 2, 1, 0)
        ]

    def _walk(self, person: Person, at: datetime) -> Workout:
        return short_walk(person, ending=at, number=100 + self._turn[person.slug])


def _today(person: Person, now: datetime) -> Day | None:
    return day_of(person, now.astimezone(person.zone(now.date())).date())


def _last_night(person: Person, at: datetime) -> Night | None:
    """Return the newest night that is over."""
    for back in (0, 1):
        night = night_of(person, at.date() - timedelta(days=back))
        if night is not None and night.end <= at:
            return night
    return None

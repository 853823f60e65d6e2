"""The cast: who is simulated, on which vendor, and what happens to them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta, timezone
from typing import Literal

from auren.devstack.simulator.traits import TRAITS, Traits
from auren.devstack.simulator.wire import stable_uuid

SENDERS = ("oura", "whoop", "terra", "sdk", "hae")
SENDER_VENDOR = {
    "oura": "oura",
    "whoop": "whoop",
    "terra": "terra",
    "sdk": "healthkit",
    "hae": "healthkit",
}
EpisodeKind = Literal["illness", "travel", "device_off", "misread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Something that lasts from the night of `first` to that of `last`, both included.

    `rmssd_ms` is the level to which an illness presses HRV; `has_onset` makes its first
    night a mild one. `offset_min` is the zone of a journey, minutes east of UTC. After
    a `misread` night the vendor first tells too low an HRV, and corrects it hours later.
    """

    kind: EpisodeKind
    first: date
    last: date
    rmssd_ms: float | None = None
    has_onset: bool = False
    offset_min: int | None = None

    def covers(self, on: date) -> bool:
        return self.first <= on <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person with one account at one vendor; same seed, same account, same life."""

    seed: int
    slug: str
    label: str
    sender: str
    account: str
    traits: Traits
    episodes: tuple[Episode, ...] = ()

    @property
    def vendor(self) -> str:
        """The slug under which the bridge knows this person's vendor."""
        return SENDER_VENDOR[self.sender]

    def episode(self, kind: EpisodeKind, on: date) -> Episode | None:
        """Return what of this kind is going on that day."""
        for episode in self.episodes:
            if episode.kind == kind and episode.covers(on):
                return episode
        return None

    def zone(self, on: date) -> timezone:
        """Return the offset on this person's wall that day."""
        journey = self.episode("travel", on)
        minutes = self.traits.offset_min
        if journey is not None and journey.offset_min is not None:
            minutes = journey.offset_min
        return timezone(timedelta(minutes=minutes))


_LABELS = (
    "Mara Lindqvist",
    "Tomás Ferreira",
    "Ines Okafor",
    "Jonas Weber",
    "Aiko Tanabe",
    "Ruth Adler",
    "Pavel Novák",
    "Leila Haddad",
    "Owen Price",
    "Sofia Marchetti",
    "Emeka Obi",
    "Hanna Virtanen",
)
_ORDER = ("oura", "whoop", "terra", "sdk", "oura", "hae", "whoop", "terra")


def cast(
    *,
    seed: int,
    count: int,
    today: date,
    senders: Sequence[str] = SENDERS,
    illness: bool = True,
) -> tuple[Person, ...]:
    """Return `count` people spread over the wanted senders.

    With `illness`, one of them (a Terra wearer where there is one) falls ill: a first
    low night, then two very low ones; and the first Oura ring misreads a night. Someone
    travels, someone loses a ring for five days.
    """
    order = [sender for sender in _ORDER if sender in senders]
    people = [
        _person(seed=seed, number=number, sender=order[number % len(order)])
        for number in range(count)
    ]
    lately: dict[int, list[Episode]] = {}
    if illness:
        lately.setdefault(_ill(people), []).append(_illness(today))
        lately.setdefault(_misread(people), []).append(_misreading(today))
    return tuple(
        replace(
            person,
            episodes=(*lately.get(number, ()), *_episodes(number=number, today=today)),
        )
        for number, person in enumerate(people)
    )


_NOBODY = -1


def _ill(people: Sequence[Person]) -> int:
    """Return whose illness is shown: a vendor that pushes shows it soonest."""
    return _first(people, ("terra", "oura", "whoop"))


def _misread(people: Sequence[Person]) -> int:
    """Return whose night is corrected later: never that of the ill person."""
    number = _first(people, ("oura",))
    return _NOBODY if number == _ill(people) else number


def _first(people: Sequence[Person], senders: Sequence[str]) -> int:
    for sender in senders:
        for number, person in enumerate(people):
            if person.sender == sender:
                return number
    return _NOBODY


def _illness(today: date) -> Episode:
    # The three newest nights, which are those that may still raise an alert.
    return Episode(
        kind="illness",
        first=today - timedelta(days=2),
        last=today + timedelta(days=2),
        rmssd_ms=20.0,
        has_onset=True,
    )


def _misreading(today: date) -> Episode:
    yesterday = today - timedelta(days=1)
    return Episode(kind="misread", first=yesterday, last=yesterday)


def _person(*, seed: int, number: int, sender: str) -> Person:
    slug = f"person-{number + 1:02d}"
    label = _LABELS[number % len(_LABELS)]
    if number >= len(_LABELS):
        label = f"{label} {number // len(_LABELS) + 1}"
    return Person(
        seed=seed,
        slug=slug,
        label=label,
        sender=sender,
        account=_account(seed=seed, slug=slug, sender=sender),
        traits=_traits(seed=seed, number=number),
    )


def _traits(*, seed: int, number: int) -> Traits:
    """Return the traits written out above; after six people, varied by a few percent."""
    base = TRAITS[number % len(TRAITS)]
    turn = number // len(TRAITS)
    if turn == 0:
        return base
    spread = 0.9 + _hashed(seed, number, "spread") % 200 / 1000
    return replace(
        base,
        rmssd_ms=round(base.rmssd_ms * spread, 1),
        resting_bpm=round(base.resting_bpm / spread, 1),
        steps=round(base.steps * spread),
    )


def _account(*, seed: int, slug: str, sender: str) -> str:
    if sender == "whoop":
        return str(10_000_000 + _hashed(seed, slug, "whoop") % 89_000_000)
    return stable_uuid(seed, slug, sender, "account")


def _hashed(*parts: object) -> int:
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _episodes(*, number: int, today: date) -> tuple[Episode, ...]:
    episodes: list[Episode] = []
    if number % 6 == 1:
        episodes.append(
            Episode(
                kind="travel",
                first=today - timedelta(days=13),
                last=today - timedelta(days=8),
                offset_min=-300,
            )
        )
    if number % 6 == 4:
        episodes.append(
            Episode(
                kind="device_off",
                first=today - timedelta(days=18),
                last=today - timedelta(days=14),
            )
        )
    if number % 6 == 0:
        # A common cold some weeks back: deep enough to see, not to frighten.
        episodes.append(
            Episode(
                kind="illness",
                first=today - timedelta(days=52),
                last=today - timedelta(days=48),
                rmssd_ms=38.0,
            )
        )
    return tuple(episodes)

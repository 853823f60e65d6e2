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
EpisodeKind = Literal["illness", "travel", "device_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Something that lasts from the night of `first` to that of `last`, both included.

    `rmssd_ms` is the level to which an illness presses HRV; `offset_min` is the zone of
    a journey, minutes east of UTC.
    """

    kind: EpisodeKind
    first: date
    last: date
    rmssd_ms: float | None = None
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

    With `illness`, one of them (a Terra wearer where there is one) has been ill for two
    nights and still is. Someone travels, someone loses a ring for five days.
    """
    order = [sender for sender in _ORDER if sender in senders]
    people = [
        _person(seed=seed, number=number, sender=order[number % len(order)])
        for number in range(count)
    ]
    patient = _patient(people) if illness else None
    return tuple(
        replace(
            person,
            episodes=_episodes(number=number, today=today, ill=number == patient),
        )
        for number, person in enumerate(people)
    )


def _patient(people: Sequence[Person]) -> int | None:
    """Return whose illness is shown: a vendor that pushes shows it soonest."""
    for sender in ("terra", "oura", "whoop"):
        for number, person in enumerate(people):
            if person.sender == sender:
                return number
    return None


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


def _episodes(*, number: int, today: date, ill: bool) -> tuple[Episode, ...]:
    episodes: list[Episode] = []
    if ill:
        episodes.append(
            Episode(
                kind="illness",
                first=today - timedelta(days=2),
                last=today + timedelta(days=2),
                rmssd_ms=20.0,
            )
        )
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

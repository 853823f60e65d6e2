"""What both readers gather from a push before it becomes records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from biometrics.vendors.healthkit.mapping import Quantity
from biometrics.vendors.healthkit.points import Samples
from biometrics.vendors.healthkit.sleep import Segment, Session
from biometrics.vendors.healthkit.tally import Tally
from biometrics.vendors.healthkit.units import Refusal, convert
from biometrics.vendors.records import JsonScalar, Record
from biometrics.vendors.times import Moment

_WATCH = "watch"
_PHONES = ("iphone", "ipad", "phone")
_DEVICES = frozenset(
    {"watch", "phone", "ring", "band", "strap", "scale", "chest_strap"}
)


@dataclass(slots=True, kw_only=True)
class Harvest:
    """The good of a push, and a count of the bad.

    `brand` is the maker of the phone's health store, the second part of a series id.
    """

    brand: str
    sender: str
    stamp: datetime
    now: datetime
    samples: Samples = field(default_factory=Samples)
    segments: list[Segment] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    workouts: list[Record] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def facts(self, device: str | None) -> dict[str, JsonScalar]:
        """Return what every record of this push says of where it comes from."""
        known: dict[str, JsonScalar] = {"provider": self.brand, "sender": self.sender}
        return {**known, "device": device} if device else known

    def take(
        self,
        quantity: Quantity,
        value: object,
        *,
        unit: object,
        at: Moment,
        until: datetime,
        device: str | None,
        where: str,
    ) -> None:
        """Convert and keep one sample, or count why not."""
        number = convert(
            value, unit, metric=quantity.metric, dimension=quantity.dimension
        )
        if isinstance(number, Refusal):
            self.tally.add(where, number.value)
        else:
            self.samples.add(quantity, number, at=at, until=until, device=device)


def rows(parent: dict[str, Any], key: str, *, where: str, tally: Tally) -> list[Any]:
    """Return the list under a key; absent and null are empty, another type is counted."""
    found = parent.get(key)
    if isinstance(found, list):
        return found
    if found is not None:
        tally.add(where, "not a list")
    return []


def device_kind(*hints: object) -> str | None:
    """Return watch, phone and the like from what a source says of itself.

    Names of sources ("Sam's iPhone") name people, so only the kind is kept.
    """
    return _kind(tuple(hint for hint in hints if isinstance(hint, str) and hint))


@lru_cache(maxsize=256)
def _kind(hints: tuple[str, ...]) -> str | None:
    said = [hint.lower() for hint in hints]
    for hint in said:
        if hint in _DEVICES:
            return hint
    if any(_WATCH in hint for hint in said):
        return _WATCH
    if any(phone in hint for hint in said for phone in _PHONES):
        return "phone"
    return "other" if said else None

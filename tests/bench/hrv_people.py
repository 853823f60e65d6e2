"""Simulated people for the HRV benchmark: noise, gaps, harmless drops and events.

A person's SD is the one that a person's nights show, harmless drops included, so that
an event of -2 SD is two of the SDs which a baseline can see, and the correlations of
the other signals are exact. `Model.drops_inside=False` puts the drops on top of that SD
instead: noisier people, hence more false alerts and weaker events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from biometrics.alerts.nights import Night

FIRST_NIGHT: Final = date(2025, 1, 1)
NIGHTS: Final = 90

_AUTOCORRELATION: Final = 0.30
_MISSING: Final = 0.12
_DROP_SHARE: Final = 0.05
_DROP_LOW, _DROP_HIGH = 1.0, 3.0
# Correlation with the night's HRV deviation, own SD and usual value of a signal.
_RHR: Final = (-0.65, 2.5, 55.0)
_RR: Final = (-0.25, 0.6, 15.0)
_TEMP: Final = (-0.12, 0.45, 0.0)
_LIFT: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The choices that the description of the simulation leaves open."""

    drops_inside: bool = True

    @property
    def noise(self) -> float:
        """Return the SD of the everyday part, in own SDs."""
        if not self.drops_inside:
            return 1.0
        square = (_DROP_LOW**2 + _DROP_LOW * _DROP_HIGH + _DROP_HIGH**2) / 3
        mean = (_DROP_LOW + _DROP_HIGH) / 2
        return math.sqrt(1 - (_DROP_SHARE * square - (_DROP_SHARE * mean) ** 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something real: HRV falls by `drop` own SDs and the other signals rise."""

    drop: float
    nights: int


@dataclass(frozen=True, slots=True)
class _Deviations:
    """One night in own SDs: HRV, RHR, RR, temperature."""

    worn: bool
    hrv: float
    others: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    level: float
    sd: float
    days: tuple[_Deviations, ...]

    def nights(self, *, event: Event | None = None, start: int = 0) -> list[Night]:
        """Return the person's nights, with `event` from night number `start` on."""
        found = []
        for number, day in enumerate(self.days):
            ill = event is not None and start <= number < start + event.nights
            found.append(self._night(number, day, event.drop if ill and event else 0.0))
        return found

    def _night(self, number: int, day: _Deviations, drop: float) -> Night:
        night = FIRST_NIGHT + timedelta(days=number)
        if not day.worn:
            return Night(night=night)
        rhr, rr, temp = (
            usual + sd * (deviation + _LIFT * drop)
            for (_, sd, usual), deviation in zip(
                (_RHR, _RR, _TEMP), day.others, strict=True
            )
        )
        value = math.exp(self.level + self.sd * (day.hrv - drop))
        return Night(night=night, value_ms=value, rhr_bpm=rhr, rr_brpm=rr, temp_c=temp)


def simulate(*, random: Random, model: Model) -> Person:
    """Return one healthy person with `NIGHTS` nights."""
    level = random.gauss(3.616, 0.423)
    sd = math.exp(random.gauss(math.log(0.20), 0.35))
    innovation = math.sqrt(1 - _AUTOCORRELATION**2)
    smooth, days = random.gauss(0, 1), []
    for _ in range(NIGHTS):
        smooth = _AUTOCORRELATION * smooth + innovation * random.gauss(0, 1)
        drop = (
            random.uniform(_DROP_LOW, _DROP_HIGH)
            if random.random() < _DROP_SHARE
            else 0.0
        )
        hrv = model.noise * smooth - drop
        others = tuple(
            r * hrv + math.sqrt(1 - r * r) * random.gauss(0, 1)
            for r, _, _ in (_RHR, _RR, _TEMP)
        )
        worn = random.random() >= _MISSING
        days.append(
            _Deviations(worn=worn, hrv=hrv, others=(others[0], others[1], others[2]))
        )
    return Person(level=level, sd=sd, days=tuple(days))

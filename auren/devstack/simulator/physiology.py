"""How a body behaves: nights and days as pure functions of a person and a date.

The night-to-night figures follow what is known of healthy wearers: ln(rMSSD) varies by
6 to 12 % with an autocorrelation near 0.3 and a heavy lower tail; resting rate, breath
and temperature move against it in illness.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from auren.devstack.simulator.people import Episode, Person
from auren.devstack.simulator.stages import AWAKE, DEEP, EPOCH_S, LIGHT, REM, stages

_AUTOCORRELATION = 0.3
# 0.3 to the power of 10 is below any measurable effect.
_MEMORY_NIGHTS = 10
# Two own SDs of somebody with ordinary nights: low enough to see, and no more.
_ONSET_LN = -0.25
_CALM = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A main sleep, named by the local date of waking; one stage code each 5 minutes."""

    on: date
    start: datetime
    end: datetime
    stages: str
    rmssd_ms: float
    sdnn_ms: float
    resting_bpm: int
    average_bpm: float
    breaths: float
    spo2: float
    temperature_deviation_c: float
    skin_c: float
    heart_rates: tuple[int, ...]
    rmssd_series: tuple[int | None, ...]
    score: int
    readiness: int

    def seconds(self, stage: str) -> int:
        """Return how long the sleeper was in this stage."""
        return self.stages.count(stage) * EPOCH_S

    @property
    def asleep_s(self) -> int:
        return self.in_bed_s - self.seconds(AWAKE)

    @property
    def in_bed_s(self) -> int:
        return len(self.stages) * EPOCH_S

    @property
    def latency_s(self) -> int:
        return (len(self.stages) - len(self.stages.lstrip(AWAKE))) * EPOCH_S

    @property
    def efficiency(self) -> int:
        return round(100 * self.asleep_s / self.in_bed_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """What an illness or a journey adds to the usual."""

    ln_rmssd: float = 0.0
    resting_bpm: float = 0.0
    breaths: float = 0.0
    temperature_c: float = 0.0
    spo2: float = 0.0
    sleep_h: float = 0.0
    pressed_ms: float | None = None


def draw_for(person: Person, purpose: str, on: date) -> random.Random:
    """Return the source of chance for one purpose of one person's day."""
    return random.Random(f"{person.seed}/{person.slug}/{purpose}/{on.isoformat()}")


@lru_cache(maxsize=4096)
def night_of(person: Person, on: date) -> Night | None:
    """Return the sleep from which the person woke that day, None without a device."""
    if person.episode("device_off", on) is not None:
        return None
    traits, draw = person.traits, draw_for(person, "night", on)
    shift, fitness = _shift(person, on), _fitness(person, on)
    is_calm = _is_calm(person, on)
    if is_calm:
        fitness *= 0.3 if shift == _Shift() else 0.0
    rmssd = _rmssd(person, draw=draw, shift=shift, fitness=fitness, is_calm=is_calm)
    resting = traits.resting_bpm - 1.3 * fitness + shift.resting_bpm
    resting_bpm = max(36, round(resting + draw.gauss(0, 0.8)))
    hypnogram = stages(
        draw=draw,
        hours=traits.sleep_h + draw.gauss(0, 0.55) + shift.sleep_h,
        restless=shift.temperature_c > 0,
    )
    start = _bedtime(person, on, draw=draw)
    end = start.astimezone(UTC) + timedelta(seconds=len(hypnogram) * EPOCH_S)
    rates = _heart_rates(hypnogram, lowest=resting_bpm, draw=draw)
    deviation = round(draw.gauss(0, 0.15) + shift.temperature_c, 2)
    night = Night(
        on=on,
        start=start,
        end=end.astimezone(person.zone(on)),
        stages=hypnogram,
        rmssd_ms=rmssd,
        sdnn_ms=round(rmssd * (1.12 + draw.gauss(0, 0.04)), 1),
        resting_bpm=resting_bpm,
        average_bpm=round(sum(rates) / len(rates), 2),
        breaths=round(traits.breaths + draw.gauss(0, 0.25) + shift.breaths, 2),
        spo2=round(min(99.5, 97.1 + draw.gauss(0, 0.5) + shift.spo2), 1),
        temperature_deviation_c=deviation,
        skin_c=round(traits.skin_c + deviation, 2),
        heart_rates=rates,
        rmssd_series=_rmssd_series(hypnogram, mean=rmssd, draw=draw),
        score=0,
        readiness=0,
    )
    return _scored(night, person=person)


def misread(night: Night) -> Night:
    """Return the night as a ring tells it that slipped: half the HRV."""
    halves = tuple(None if v is None else max(4, v // 2) for v in night.rmssd_series)
    return replace(night, rmssd_ms=round(night.rmssd_ms / 2, 1), rmssd_series=halves)


def _fitness(person: Person, on: date) -> float:
    """Return tonight's state around 0 with SD 1; positive is rested.

    An AR(1) process written as a sum over past shocks, so that any night can be had
    without the ones before it.
    """
    total = sum(
        _AUTOCORRELATION**back
        * draw_for(person, "state", on - timedelta(days=back)).gauss(0, 1)
        for back in range(_MEMORY_NIGHTS)
    )
    return total * math.sqrt(1 - _AUTOCORRELATION**2)


def _shift(person: Person, on: date) -> _Shift:
    illness = person.episode("illness", on)
    if illness is not None:
        if illness.has_onset and on == illness.first:
            return _Shift(ln_rmssd=_ONSET_LN, resting_bpm=0.5, sleep_h=-0.3)
        return _illness(illness)
    journey = person.episode("travel", on)
    if journey is not None:
        # Two nights of jet lag, then the body has arrived.
        lag = max(0.0, 1.0 - (on - journey.first).days / 3)
        return _Shift(ln_rmssd=-0.18 * lag, resting_bpm=3 * lag, sleep_h=-1.1 * lag)
    return _Shift()


def _is_calm(person: Person, on: date) -> bool:
    """Say whether an illness begins now or soon.

    These nights are ordinary ones, whatever the date, so that the story which people
    look at is the same every day: in the own range, then low, then very low.
    """
    return any(
        episode.has_onset and timedelta(0) <= episode.first - on <= _CALM
        for episode in person.episodes
    )


def _illness(illness: Episode) -> _Shift:
    severe = illness.rmssd_ms is not None and illness.rmssd_ms < 30
    weight = 1.0 if severe else 0.55
    return _Shift(
        resting_bpm=13 * weight,
        breaths=2.3 * weight,
        temperature_c=1.3 * weight,
        spo2=-1.2 * weight,
        sleep_h=-0.8 * weight,
        pressed_ms=illness.rmssd_ms,
    )


def _rmssd(
    person: Person,
    *,
    draw: random.Random,
    shift: _Shift,
    fitness: float,
    is_calm: bool,
) -> float:
    if shift.pressed_ms is not None:
        # Pressed down to a floor: many nights sit on it, none far above.
        above = max(0.0, draw.gauss(0, 0.04))
        return round(shift.pressed_ms * (1 + min(above, 0.12)), 1)
    deviation = person.traits.rmssd_cv * fitness
    if draw.random() < 0.03 and not is_calm:
        # A late or boozy evening: the heavy lower tail.
        deviation -= draw.uniform(0.15, 0.35)
    return round(person.traits.rmssd_ms * math.exp(deviation + shift.ln_rmssd), 1)


def _bedtime(person: Person, on: date, *, draw: random.Random) -> datetime:
    weekend = 0.6 if on.weekday() >= 5 else 0.0
    hours = person.traits.bed_hour + weekend + draw.gauss(0, 0.35)
    evening = datetime.combine(on - timedelta(days=1), time(0), person.zone(on))
    return evening + timedelta(seconds=round(hours * 3600))


def _heart_rates(
    hypnogram: str, *, lowest: int, draw: random.Random
) -> tuple[int, ...]:
    """Return one rate per epoch: falls until the small hours, its minimum `lowest`."""
    above = {DEEP: 3.0, LIGHT: 5.0, REM: 8.0, AWAKE: 13.0}
    count = len(hypnogram)
    raw = [
        above[stage] + 6 * (2 * place / count - 1.3) ** 2 + draw.gauss(0, 1.2)
        for place, stage in enumerate(hypnogram)
    ]
    floor = min(raw)
    return tuple(round(lowest + value - floor) for value in raw)


def _rmssd_series(
    hypnogram: str, *, mean: float, draw: random.Random
) -> tuple[int | None, ...]:
    """Return one value per epoch around `mean`; moving about hides some of them."""
    raw: list[float | None] = []
    for stage in hypnogram:
        hidden = stage == AWAKE or draw.random() < 0.02
        raw.append(None if hidden else math.exp(draw.gauss(0, 0.16)))
    seen = [value for value in raw if value is not None]
    scale = mean * len(seen) / sum(seen)
    return tuple(None if v is None else max(4, round(v * scale)) for v in raw)


def _scored(night: Night, *, person: Person) -> Night:
    """Return the night with the two scores that vendors derive from the rest."""
    enough = min(1.0, night.asleep_s / 3600 / person.traits.sleep_h)
    raised = max(0.0, night.temperature_deviation_c - 0.3)
    score = 58 * enough + 0.36 * night.efficiency - 14 * raised
    level = math.log(night.rmssd_ms / person.traits.rmssd_ms)
    strain = night.resting_bpm - person.traits.resting_bpm
    ready = 82 + 45 * level - 1.4 * strain - 10 * raised
    return replace(night, score=_percent(score), readiness=_percent(ready))


def _percent(value: float) -> int:
    return max(1, min(99, round(value)))

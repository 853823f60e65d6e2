"""What a person does by day: steps, energy, workouts, and how much of it so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

from auren.devstack.simulator.people import Person
from auren.devstack.simulator.physiology import draw_for

# Metres a step, kilocalories a step and a kilogram: round figures for walking.
_STEP_M = 0.74
_KCAL_PER_STEP_KG = 0.00058
# What share of the day's movement lies before each hour of the local day.
_MOVED_BY_HOUR = (
    *(0.0,) * 7,
    *(0.03, 0.10, 0.16, 0.21, 0.26, 0.33, 0.41, 0.46),
    *(0.51, 0.57, 0.65, 0.76, 0.86, 0.92, 0.96, 0.98, 0.99, 1.0),
)
_SPORTS = {
    # name: (metres a second, share of heart-rate reserve, minutes)
    "running": (2.9, 0.72, (28, 62)),
    "cycling": (6.4, 0.62, (40, 100)),
    "walking": (1.4, 0.35, (25, 60)),
    "strength_training": (0.0, 0.48, (30, 60)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workout:
    """One bout of exercise."""

    number: int
    sport: str
    start: datetime
    end: datetime
    average_bpm: int
    max_bpm: int
    kcal: float
    distance_m: float

    @property
    def seconds(self) -> int:
        return round((self.end - self.start).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Totals from local midnight; of a whole day, or up to a moment of it."""

    on: date
    zone: timezone
    until: datetime
    steps: int
    distance_m: float
    active_kcal: float
    basal_kcal: float
    high_s: int
    medium_s: int
    low_s: int
    sedentary_s: int
    resting_s: int
    stress_high_s: int
    recovery_high_s: int
    strain: float
    workouts: tuple[Workout, ...]

    @property
    def midnight(self) -> datetime:
        return datetime.combine(self.on, time(0), self.zone)

    @property
    def total_kcal(self) -> float:
        return round(self.active_kcal + self.basal_kcal, 1)

    @property
    def average_bpm(self) -> int:
        return round(62 + 1.6 * self.strain)


@lru_cache(maxsize=4096)
def day_of(person: Person, on: date) -> Day | None:
    """Return everything that the person will have done that day."""
    if person.episode("device_off", on) is not None:
        return None
    draw = draw_for(person, "day", on)
    ill = person.episode("illness", on) is not None
    workouts = () if ill else _workouts(person, on)
    walked = person.traits.steps * draw.lognormvariate(-0.03, 0.25)
    if ill:
        walked *= 0.25
    steps = round(walked + sum(w.distance_m / 1.05 for w in workouts if _afoot(w)))
    exercise_s = sum(workout.seconds for workout in workouts)
    active = steps * _KCAL_PER_STEP_KG * person.traits.weight_kg
    active += sum(w.kcal for w in workouts if not _afoot(w))
    low_s = round(steps * 1.3)
    return Day(
        on=on,
        zone=person.zone(on),
        until=datetime.combine(on, time(0), person.zone(on)) + timedelta(days=1),
        steps=steps,
        distance_m=round(steps * _STEP_M, 1),
        active_kcal=round(active, 1),
        basal_kcal=round(_basal(person), 1),
        high_s=round(exercise_s * 0.4),
        medium_s=round(exercise_s * 0.6),
        low_s=low_s,
        sedentary_s=max(3_600, 48_000 - low_s - exercise_s),
        resting_s=28_800,
        stress_high_s=900 * draw.randint(2, 9 if not ill else 16),
        recovery_high_s=900 * draw.randint(1, 8 if not ill else 2),
        strain=round(min(20.5, 3.5 + exercise_s / 420 + steps / 3000), 2),
        workouts=workouts,
    )


def so_far(day: Day, at: datetime) -> Day:
    """Return the day as it stands at `at`: nothing yet, a part, or all of it."""
    share = _moved_by(at - day.midnight)
    passed = max(0.0, min(1.0, (at - day.midnight) / timedelta(days=1)))
    return replace(
        day,
        until=min(day.until, max(at, day.midnight)),
        steps=round(day.steps * share),
        distance_m=round(day.distance_m * share, 1),
        active_kcal=round(day.active_kcal * share, 1),
        basal_kcal=round(day.basal_kcal * passed, 1),
        high_s=round(day.high_s * share),
        medium_s=round(day.medium_s * share),
        low_s=round(day.low_s * share),
        sedentary_s=round(day.sedentary_s * passed),
        resting_s=round(day.resting_s * min(1.0, passed * 3)),
        stress_high_s=round(day.stress_high_s * share / 60) * 60,
        recovery_high_s=round(day.recovery_high_s * share / 60) * 60,
        strain=round(day.strain * share, 2),
        workouts=tuple(w for w in day.workouts if w.end <= at),
    )


def moved(day: Day, extra_steps: int) -> Day:
    """Return the day with some more steps on the clock."""
    return replace(
        day,
        steps=day.steps + extra_steps,
        distance_m=round(day.distance_m + extra_steps * _STEP_M, 1),
        active_kcal=round(day.active_kcal + extra_steps * 0.04, 1),
        low_s=day.low_s + extra_steps,
    )


def short_walk(person: Person, *, ending: datetime, number: int) -> Workout:
    """Return a brisk walk that has just ended."""
    draw = draw_for(person, f"walk-{number}", ending.date())
    return _workout(
        person,
        sport="walking",
        number=number,
        start=ending - timedelta(minutes=draw.randint(12, 24)),
        end=ending,
    )


def _moved_by(since_midnight: timedelta) -> float:
    hours = since_midnight / timedelta(hours=1)
    if hours <= 0:
        return 0.0
    if hours >= 24:
        return 1.0
    low, high = _MOVED_BY_HOUR[int(hours)], _MOVED_BY_HOUR[int(hours) + 1]
    return low + (high - low) * (hours - int(hours))


def _basal(person: Person) -> float:
    """Resting energy of a day by Mifflin and St Jeor (1990)."""
    traits = person.traits
    base = 10 * traits.weight_kg + 625 * traits.height_m - 5 * traits.age
    return base + (5 if traits.sex == "male" else -161)


def _afoot(workout: Workout) -> bool:
    return workout.sport in {"running", "walking"}


def _workouts(person: Person, on: date) -> tuple[Workout, ...]:
    draw = draw_for(person, "workouts", on)
    if draw.random() > person.traits.workout_chance:
        return ()
    sport = draw.choice(sorted(_SPORTS))
    minutes = draw.randint(*_SPORTS[sport][2])
    begin = timedelta(hours=draw.choice((7, 12, 17, 18)), minutes=draw.randint(5, 50))
    start = datetime.combine(on, time(0), person.zone(on)) + begin
    end = start + timedelta(minutes=minutes)
    return (_workout(person, sport=sport, number=1, start=start, end=end),)


def _workout(
    person: Person, *, sport: str, number: int, start: datetime, end: datetime
) -> Workout:
    draw = draw_for(person, f"{sport}-{number}", start.date())
    speed, effort, _ = _SPORTS[sport]
    traits = person.traits
    reserve = 208 - 0.7 * traits.age - traits.resting_bpm
    average = traits.resting_bpm + reserve * (effort + draw.gauss(0, 0.04))
    hours = (end - start) / timedelta(hours=1)
    return Workout(
        number=number,
        sport=sport,
        start=start,
        end=end,
        average_bpm=round(average),
        max_bpm=round(average + reserve * 0.18),
        kcal=round(traits.weight_kg * hours * (1 + 10 * effort), 1),
        distance_m=round(speed * draw.uniform(0.9, 1.1) * hours * 3600, 1),
    )

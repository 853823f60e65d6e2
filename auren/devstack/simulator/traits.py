"""What is usual for the simulated people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is usual for a person."""

    age: int
    sex: Literal["female", "male"]
    weight_kg: float
    height_m: float
    rmssd_ms: float
    rmssd_cv: float
    resting_bpm: float
    breaths: float
    skin_c: float
    sleep_h: float
    bed_hour: float
    steps: int
    workout_chance: float
    vo2_max: float
    offset_min: int = 60


TRAITS = (
    Traits(
        age=34,
        sex="female",
        weight_kg=63.5,
        height_m=1.70,
        rmssd_ms=62,
        rmssd_cv=0.09,
        resting_bpm=52,
        breaths=14.2,
        skin_c=34.1,
        sleep_h=7.7,
        bed_hour=22.9,
        steps=9200,
        workout_chance=0.40,
        vo2_max=43,
    ),
    Traits(
        age=29,
        sex="male",
        weight_kg=78.0,
        height_m=1.83,
        rmssd_ms=78,
        rmssd_cv=0.10,
        resting_bpm=47,
        breaths=13.6,
        skin_c=33.7,
        sleep_h=7.4,
        bed_hour=23.3,
        steps=11800,
        workout_chance=0.65,
        vo2_max=54,
    ),
    Traits(
        age=41,
        sex="female",
        weight_kg=68.0,
        height_m=1.66,
        rmssd_ms=54,
        rmssd_cv=0.08,
        resting_bpm=57,
        breaths=15.1,
        skin_c=33.9,
        sleep_h=7.2,
        bed_hour=22.7,
        steps=8100,
        workout_chance=0.30,
        vo2_max=37,
        offset_min=0,
    ),
    Traits(
        age=46,
        sex="male",
        weight_kg=84.0,
        height_m=1.79,
        rmssd_ms=51,
        rmssd_cv=0.09,
        resting_bpm=59,
        breaths=15.4,
        skin_c=34.0,
        sleep_h=6.9,
        bed_hour=23.6,
        steps=7400,
        workout_chance=0.25,
        vo2_max=36,
        offset_min=-300,
    ),
    Traits(
        age=38,
        sex="female",
        weight_kg=58.0,
        height_m=1.62,
        rmssd_ms=58,
        rmssd_cv=0.10,
        resting_bpm=55,
        breaths=14.7,
        skin_c=34.3,
        sleep_h=7.5,
        bed_hour=23.0,
        steps=8700,
        workout_chance=0.35,
        vo2_max=40,
        offset_min=540,
    ),
    Traits(
        age=52,
        sex="female",
        weight_kg=70.0,
        height_m=1.68,
        rmssd_ms=49,
        rmssd_cv=0.08,
        resting_bpm=60,
        breaths=15.6,
        skin_c=33.8,
        sleep_h=7.0,
        bed_hour=22.5,
        steps=6900,
        workout_chance=0.30,
        vo2_max=33,
    ),
)

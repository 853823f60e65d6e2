"""What is measured: every metric with its unit and the range a living body can show.

A value outside its range is treated as missing, never as a number. Units are UCUM codes
as FHIR uses them; LOINC codes are given where they are confirmed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """The wire names; adding one is compatible, renaming one is a breaking change."""

    HEART_RATE = "heart_rate"
    HEART_RATE_AVERAGE = "heart_rate_average"
    HEART_RATE_MIN = "heart_rate_min"
    HEART_RATE_MAX = "heart_rate_max"
    RESTING_HEART_RATE = "resting_heart_rate"
    WALKING_HEART_RATE = "walking_heart_rate"
    HEART_RATE_RECOVERY = "heart_rate_recovery"
    HRV_RMSSD = "heart_rate_variability_rmssd"
    HRV_SDNN = "heart_rate_variability_sdnn"
    RR_INTERVAL = "rr_interval"
    RESPIRATORY_RATE = "respiratory_rate"
    OXYGEN_SATURATION = "oxygen_saturation"
    BREATHING_DISTURBANCE_INDEX = "breathing_disturbance_index"
    BODY_TEMPERATURE = "body_temperature"
    SKIN_TEMPERATURE = "skin_temperature"
    SKIN_TEMPERATURE_DEVIATION = "skin_temperature_deviation"
    SKIN_TEMPERATURE_TREND_DEVIATION = "skin_temperature_trend_deviation"
    STEPS = "steps"
    DISTANCE = "distance"
    FLIGHTS_CLIMBED = "flights_climbed"
    ALTITUDE_GAIN = "altitude_gain"
    ALTITUDE_CHANGE = "altitude_change"
    SPEED = "speed"
    SPEED_AVERAGE = "speed_average"
    SPEED_MAX = "speed_max"
    WALKING_SPEED = "walking_speed"
    CADENCE = "cadence"
    CADENCE_AVERAGE = "cadence_average"
    CADENCE_MAX = "cadence_max"
    POWER = "power"
    POWER_AVERAGE = "power_average"
    POWER_MAX = "power_max"
    ACTIVE_ENERGY = "active_energy"
    BASAL_ENERGY = "basal_energy"
    TOTAL_ENERGY = "total_energy"
    DIETARY_ENERGY = "dietary_energy"
    DURATION = "duration"
    ACTIVE_DURATION = "active_duration"
    HIGH_ACTIVITY_DURATION = "high_activity_duration"
    MEDIUM_ACTIVITY_DURATION = "medium_activity_duration"
    LOW_ACTIVITY_DURATION = "low_activity_duration"
    SEDENTARY_DURATION = "sedentary_duration"
    RESTING_DURATION = "resting_duration"
    NON_WEAR_DURATION = "non_wear_duration"
    MET_AVERAGE = "met_average"
    MET = "met"
    MET_MINUTES = "met_minutes"
    SLEEP_DURATION = "sleep_duration"
    SLEEP_DEEP = "sleep_deep"
    SLEEP_LIGHT = "sleep_light"
    SLEEP_REM = "sleep_rem"
    SLEEP_AWAKE = "sleep_awake"
    TIME_IN_BED = "time_in_bed"
    SLEEP_LATENCY = "sleep_latency"
    SLEEP_EFFICIENCY = "sleep_efficiency"
    SLEEP_CONSISTENCY = "sleep_consistency"
    SLEEP_DISTURBANCES = "sleep_disturbances"
    SLEEP_RESTLESS_PERIODS = "sleep_restless_periods"
    SLEEP_CYCLES = "sleep_cycles"
    SLEEP_NEED = "sleep_need"
    SLEEP_SCORE = "sleep_score"
    READINESS_SCORE = "readiness_score"
    ACTIVITY_SCORE = "activity_score"
    RECOVERY_SCORE = "recovery_score"
    STRAIN_SCORE = "strain_score"
    STRESS_SCORE = "stress_score"
    STRESS_DURATION = "stress_duration"
    STRESS_RECOVERY_DURATION = "stress_recovery_duration"
    VASCULAR_AGE = "vascular_age"
    PULSE_WAVE_VELOCITY = "pulse_wave_velocity"
    VO2_MAX = "vo2_max"
    WEIGHT = "weight"
    HEIGHT = "height"
    BODY_FAT = "body_fat"
    BMI = "bmi"
    LEAN_BODY_MASS = "lean_body_mass"
    MUSCLE_MASS = "muscle_mass"
    BONE_MASS = "bone_mass"
    BODY_WATER = "body_water"
    WAIST_CIRCUMFERENCE = "waist_circumference"
    BLOOD_PRESSURE_SYSTOLIC = "blood_pressure_systolic"
    BLOOD_PRESSURE_DIASTOLIC = "blood_pressure_diastolic"
    BLOOD_GLUCOSE = "blood_glucose"
    KETONES = "ketones"
    HYDRATION = "hydration"
    CARBOHYDRATES = "carbohydrates"
    PROTEIN = "protein"
    FAT = "fat"
    SATURATED_FAT = "saturated_fat"
    FIBER = "fiber"
    SUGAR = "sugar"
    ALCOHOL = "alcohol"
    SODIUM = "sodium"
    CHOLESTEROL = "cholesterol"
    CAFFEINE = "caffeine"
    PERCENT_RECORDED = "percent_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """Unit and plausible range of a metric; `low` and `high` are both possible values."""

    unit: str
    low: float
    high: float
    loinc: str | None = None


_DAY_S = 86_400.0
# A night or a workout may cross midnight and a zone change; two days bound both.
_SPAN_S = 2 * _DAY_S


def _spec(unit: str, low: float, high: float, loinc: str | None = None) -> MetricSpec:
    return MetricSpec(unit=unit, low=low, high=high, loinc=loinc)


METRICS: dict[Metric, MetricSpec] = {
    Metric.HEART_RATE: _spec("/min", 20, 260, "8867-4"),
    Metric.HEART_RATE_AVERAGE: _spec("/min", 20, 260),
    Metric.HEART_RATE_MIN: _spec("/min", 20, 260),
    Metric.HEART_RATE_MAX: _spec("/min", 20, 260),
    Metric.RESTING_HEART_RATE: _spec("/min", 25, 150, "40443-4"),
    Metric.WALKING_HEART_RATE: _spec("/min", 30, 220),
    Metric.HEART_RATE_RECOVERY: _spec("/min", 0, 150),
    Metric.HRV_RMSSD: _spec("ms", 3, 300),
    Metric.HRV_SDNN: _spec("ms", 3, 400, "80404-7"),
    Metric.RR_INTERVAL: _spec("ms", 200, 3000),
    Metric.RESPIRATORY_RATE: _spec("/min", 5, 60, "9279-1"),
    Metric.OXYGEN_SATURATION: _spec("%", 50, 100, "59408-5"),
    Metric.BREATHING_DISTURBANCE_INDEX: _spec("{index}", 0, 100),
    Metric.BODY_TEMPERATURE: _spec("Cel", 30, 44, "8310-5"),
    Metric.SKIN_TEMPERATURE: _spec("Cel", 15, 44),
    Metric.SKIN_TEMPERATURE_DEVIATION: _spec("Cel", -10, 10),
    Metric.SKIN_TEMPERATURE_TREND_DEVIATION: _spec("Cel", -10, 10),
    Metric.STEPS: _spec("{steps}", 0, 200_000, "55423-8"),
    Metric.DISTANCE: _spec("m", 0, 1_000_000),
    Metric.FLIGHTS_CLIMBED: _spec("{flights}", 0, 5_000),
    Metric.ALTITUDE_GAIN: _spec("m", 0, 20_000),
    Metric.ALTITUDE_CHANGE: _spec("m", -20_000, 20_000),
    Metric.SPEED: _spec("m/s", 0, 70),
    Metric.SPEED_AVERAGE: _spec("m/s", 0, 70),
    Metric.SPEED_MAX: _spec("m/s", 0, 100),
    Metric.WALKING_SPEED: _spec("m/s", 0, 5),
    Metric.CADENCE: _spec("/min", 0, 300),
    Metric.CADENCE_AVERAGE: _spec("/min", 0, 300),
    Metric.CADENCE_MAX: _spec("/min", 0, 400),
    Metric.POWER: _spec("W", 0, 3_000),
    Metric.POWER_AVERAGE: _spec("W", 0, 3_000),
    Metric.POWER_MAX: _spec("W", 0, 5_000),
    Metric.ACTIVE_ENERGY: _spec("kcal", 0, 20_000),
    Metric.BASAL_ENERGY: _spec("kcal", 0, 10_000),
    Metric.TOTAL_ENERGY: _spec("kcal", 0, 25_000),
    Metric.DIETARY_ENERGY: _spec("kcal", 0, 30_000),
    Metric.DURATION: _spec("s", 0, _SPAN_S),
    Metric.ACTIVE_DURATION: _spec("s", 0, _DAY_S),
    Metric.HIGH_ACTIVITY_DURATION: _spec("s", 0, _DAY_S),
    Metric.MEDIUM_ACTIVITY_DURATION: _spec("s", 0, _DAY_S),
    Metric.LOW_ACTIVITY_DURATION: _spec("s", 0, _DAY_S),
    Metric.SEDENTARY_DURATION: _spec("s", 0, _DAY_S),
    Metric.RESTING_DURATION: _spec("s", 0, _DAY_S),
    Metric.NON_WEAR_DURATION: _spec("s", 0, _DAY_S),
    Metric.MET_AVERAGE: _spec("{MET}", 0, 30),
    Metric.MET: _spec("{MET}", 0, 30),
    Metric.MET_MINUTES: _spec("{MET}.min", 0, 20_000),
    Metric.SLEEP_DURATION: _spec("s", 0, _DAY_S),
    Metric.SLEEP_DEEP: _spec("s", 0, _DAY_S),
    Metric.SLEEP_LIGHT: _spec("s", 0, _DAY_S),
    Metric.SLEEP_REM: _spec("s", 0, _DAY_S),
    Metric.SLEEP_AWAKE: _spec("s", 0, _DAY_S),
    Metric.TIME_IN_BED: _spec("s", 0, _SPAN_S),
    Metric.SLEEP_LATENCY: _spec("s", 0, _DAY_S),
    Metric.SLEEP_EFFICIENCY: _spec("%", 1, 100),
    Metric.SLEEP_CONSISTENCY: _spec("%", 0, 100),
    Metric.SLEEP_DISTURBANCES: _spec("{events}", 0, 500),
    Metric.SLEEP_RESTLESS_PERIODS: _spec("{events}", 0, 2_000),
    Metric.SLEEP_CYCLES: _spec("{cycles}", 0, 30),
    Metric.SLEEP_NEED: _spec("s", 0, _DAY_S),
    Metric.SLEEP_SCORE: _spec("{score}", 0, 100),
    Metric.READINESS_SCORE: _spec("{score}", 0, 100),
    Metric.ACTIVITY_SCORE: _spec("{score}", 0, 100),
    Metric.RECOVERY_SCORE: _spec("{score}", 0, 100),
    Metric.STRAIN_SCORE: _spec("{score}", 0, 100),
    Metric.STRESS_SCORE: _spec("{score}", 0, 100),
    Metric.STRESS_DURATION: _spec("s", 0, _DAY_S),
    Metric.STRESS_RECOVERY_DURATION: _spec("s", 0, _DAY_S),
    Metric.VASCULAR_AGE: _spec("a", 10, 120),
    Metric.PULSE_WAVE_VELOCITY: _spec("m/s", 2, 30),
    Metric.VO2_MAX: _spec("mL/kg/min", 5, 100),
    Metric.WEIGHT: _spec("kg", 2, 500, "29463-7"),
    Metric.HEIGHT: _spec("m", 0.4, 2.6, "8302-2"),
    Metric.BODY_FAT: _spec("%", 1, 80),
    Metric.BMI: _spec("kg/m2", 8, 120, "39156-5"),
    Metric.LEAN_BODY_MASS: _spec("kg", 2, 300),
    Metric.MUSCLE_MASS: _spec("kg", 1, 200),
    Metric.BONE_MASS: _spec("kg", 0.3, 20),
    Metric.BODY_WATER: _spec("%", 20, 85),
    Metric.WAIST_CIRCUMFERENCE: _spec("m", 0.3, 2.5),
    Metric.BLOOD_PRESSURE_SYSTOLIC: _spec("mm[Hg]", 50, 300, "8480-6"),
    Metric.BLOOD_PRESSURE_DIASTOLIC: _spec("mm[Hg]", 20, 200, "8462-4"),
    Metric.BLOOD_GLUCOSE: _spec("mg/dL", 10, 1000, "2339-0"),
    Metric.KETONES: _spec("mg/dL", 0, 400),
    Metric.HYDRATION: _spec("mL", 0, 20_000),
    Metric.CARBOHYDRATES: _spec("g", 0, 5_000),
    Metric.PROTEIN: _spec("g", 0, 3_000),
    Metric.FAT: _spec("g", 0, 3_000),
    Metric.SATURATED_FAT: _spec("g", 0, 1_000),
    Metric.FIBER: _spec("g", 0, 500),
    Metric.SUGAR: _spec("g", 0, 3_000),
    Metric.ALCOHOL: _spec("g", 0, 1_000),
    Metric.SODIUM: _spec("mg", 0, 100_000),
    Metric.CHOLESTEROL: _spec("mg", 0, 20_000),
    Metric.CAFFEINE: _spec("mg", 0, 10_000),
    Metric.PERCENT_RECORDED: _spec("%", 0, 100),
}


def plausible(metric: Metric, value: object) -> float | None:
    """Return `value` as a float in the metric's range, None for anything else.

    Booleans, text, NaN and infinities are not numbers here: a vendor that sends them has
    sent nothing.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    spec = METRICS[metric]
    return number if spec.low <= number <= spec.high else None

"""Which Terra field is which reading, by record type; timed samples are in `series.py`.

Names and units: Terra's OpenAPI description, version 2026.07.17.1
(github.com/tryterra/openapi, dist/core/v2-bundled.yaml). Terra states no unit for HRV;
its examples (35.2, 42.1) are milliseconds. Its own `data_enrichment` scores are left
out: Terra may send null for a score that still holds, so they cannot be overwritten like
everything else.
"""

from __future__ import annotations

from dataclasses import replace

from biometrics.catalogue import Metric
from biometrics.vendors.fields import Field


def _under(root: str, *rows: Field) -> tuple[Field, ...]:
    return tuple(replace(row, path=f"{root}.{row.path}") for row in rows)


def _during(context: str, *rows: Field) -> tuple[Field, ...]:
    return tuple(replace(row, context=context) for row in rows)


# A heart that does not beat has no rate: 0 is how some providers write "not measured".
_RESTING = Field(
    path="resting_hr_bpm", metric=Metric.RESTING_HEART_RATE, zero_is_missing=True
)
_HEART = (
    Field(path="avg_hrv_rmssd", metric=Metric.HRV_RMSSD, zero_is_missing=True),
    Field(path="avg_hrv_sdnn", metric=Metric.HRV_SDNN, zero_is_missing=True),
    Field(path="avg_hr_bpm", metric=Metric.HEART_RATE_AVERAGE, zero_is_missing=True),
    Field(path="min_hr_bpm", metric=Metric.HEART_RATE_MIN, zero_is_missing=True),
    Field(path="max_hr_bpm", metric=Metric.HEART_RATE_MAX, zero_is_missing=True),
)
_OXYGEN = Field(
    path="avg_saturation_percentage",
    metric=Metric.OXYGEN_SATURATION,
    zero_is_missing=True,
)
_BREATHS = Field(
    path="avg_breaths_per_min", metric=Metric.RESPIRATORY_RATE, zero_is_missing=True
)

_SLEEP = (
    *_under(
        "sleep_durations_data",
        Field(
            path="asleep.duration_asleep_state_seconds", metric=Metric.SLEEP_DURATION
        ),
        Field(
            path="asleep.duration_deep_sleep_state_seconds", metric=Metric.SLEEP_DEEP
        ),
        Field(
            path="asleep.duration_light_sleep_state_seconds", metric=Metric.SLEEP_LIGHT
        ),
        Field(path="asleep.duration_REM_sleep_state_seconds", metric=Metric.SLEEP_REM),
        Field(path="awake.duration_awake_state_seconds", metric=Metric.SLEEP_AWAKE),
        Field(path="awake.sleep_latency_seconds", metric=Metric.SLEEP_LATENCY),
        Field(path="awake.num_wakeup_events", metric=Metric.SLEEP_DISTURBANCES),
        Field(path="other.duration_in_bed_seconds", metric=Metric.TIME_IN_BED),
        Field(path="sleep_efficiency", metric=Metric.SLEEP_EFFICIENCY),
    ),
    *_under("heart_rate_data.summary", _RESTING, *_during("sleep", *_HEART)),
    *_under("respiration_data.breaths_data", *_during("sleep", _BREATHS)),
    *_under("respiration_data.oxygen_saturation_data", *_during("sleep", _OXYGEN)),
    Field(
        path="temperature_data.delta",
        metric=Metric.SKIN_TEMPERATURE_DEVIATION,
        context="sleep",
    ),
    Field(path="readiness_data.readiness", metric=Metric.READINESS_SCORE),
    Field(path="scores.sleep", metric=Metric.SLEEP_SCORE),
)

_MOVEMENT = (
    *_under(
        "calories_data",
        Field(path="total_burned_calories", metric=Metric.TOTAL_ENERGY),
        Field(path="net_activity_calories", metric=Metric.ACTIVE_ENERGY),
        Field(path="BMR_calories", metric=Metric.BASAL_ENERGY),
    ),
    *_under(
        "active_durations_data",
        Field(path="activity_seconds", metric=Metric.ACTIVE_DURATION),
        Field(path="vigorous_intensity_seconds", metric=Metric.HIGH_ACTIVITY_DURATION),
        Field(
            path="moderate_intensity_seconds", metric=Metric.MEDIUM_ACTIVITY_DURATION
        ),
        Field(path="low_intensity_seconds", metric=Metric.LOW_ACTIVITY_DURATION),
        Field(path="inactivity_seconds", metric=Metric.SEDENTARY_DURATION),
        Field(path="rest_seconds", metric=Metric.RESTING_DURATION),
    ),
    Field(path="MET_data.avg_level", metric=Metric.MET_AVERAGE),
    Field(path="oxygen_data.vo2max_ml_per_min_per_kg", metric=Metric.VO2_MAX),
    Field(path="strain_data.strain_level", metric=Metric.STRAIN_SCORE),
)
_DISTANCE = (
    Field(path="steps", metric=Metric.STEPS),
    Field(path="distance_meters", metric=Metric.DISTANCE),
    Field(path="floors_climbed", metric=Metric.FLIGHTS_CLIMBED),
    Field(path="elevation.gain_actual_meters", metric=Metric.ALTITUDE_GAIN),
)

_DAILY = (
    *_MOVEMENT,
    *_under("distance_data", *_DISTANCE),
    *_under("heart_rate_data.summary", _RESTING, *_during("day", *_HEART)),
    *_under("oxygen_data", *_during("day", _OXYGEN)),
    *_under(
        "scores",
        Field(path="activity", metric=Metric.ACTIVITY_SCORE),
        Field(path="recovery", metric=Metric.RECOVERY_SCORE),
        Field(path="sleep", metric=Metric.SLEEP_SCORE),
    ),
    *_under(
        "stress_data",
        Field(path="avg_stress_level", metric=Metric.STRESS_SCORE),
        Field(path="max_stress_level", metric=Metric.STRESS_SCORE, context="max"),
        Field(path="stress_duration_seconds", metric=Metric.STRESS_DURATION),
        Field(
            path="low_stress_duration_seconds",
            metric=Metric.STRESS_DURATION,
            context="low",
        ),
        Field(
            path="medium_stress_duration_seconds",
            metric=Metric.STRESS_DURATION,
            context="medium",
        ),
        Field(
            path="high_stress_duration_seconds",
            metric=Metric.STRESS_DURATION,
            context="high",
        ),
        Field(
            path="activity_stress_duration_seconds",
            metric=Metric.STRESS_DURATION,
            context="activity",
        ),
        Field(
            path="rest_stress_duration_seconds", metric=Metric.STRESS_RECOVERY_DURATION
        ),
    ),
)

_WORKOUT = (
    *_MOVEMENT,
    *_under("distance_data.summary", *_DISTANCE),
    *_under("heart_rate_data.summary", _RESTING, *_during("workout", *_HEART)),
    *_under("oxygen_data", *_during("workout", _OXYGEN)),
    *_under(
        "movement_data",
        Field(path="avg_speed_meters_per_second", metric=Metric.SPEED_AVERAGE),
        Field(path="max_speed_meters_per_second", metric=Metric.SPEED_MAX),
        Field(path="avg_cadence_rpm", metric=Metric.CADENCE_AVERAGE),
        Field(path="max_cadence_rpm", metric=Metric.CADENCE_MAX),
    ),
    Field(path="power_data.avg_watts", metric=Metric.POWER_AVERAGE),
    Field(path="power_data.max_watts", metric=Metric.POWER_MAX),
)

# Measured values are in `series.py`; these are Terra's averages over the day.
_BODY = (
    # One level deeper than in every other document.
    *_under("heart_data.heart_rate_data.summary", _RESTING, *_during("day", *_HEART)),
    *_under("oxygen_data", *_during("day", _OXYGEN)),
    Field(path="oxygen_data.vo2max_ml_per_min_per_kg", metric=Metric.VO2_MAX),
    *_during(
        "day",
        *_under(
            "measurements_data",
            Field(path="day_avg_weight_kg", metric=Metric.WEIGHT),
            Field(path="day_avg_height_cm", metric=Metric.HEIGHT, scale=0.01),
            Field(path="day_avg_bmi", metric=Metric.BMI),
            Field(path="day_avg_bodyfat_percentage", metric=Metric.BODY_FAT),
            Field(path="day_avg_water_percentage", metric=Metric.BODY_WATER),
            Field(
                path="day_avg_lean_mass_g", metric=Metric.LEAN_BODY_MASS, scale=0.001
            ),
            Field(path="day_avg_muscle_mass_g", metric=Metric.MUSCLE_MASS, scale=0.001),
            Field(path="day_avg_bone_mass_g", metric=Metric.BONE_MASS, scale=0.001),
        ),
        *_under(
            "blood_pressure_data",
            Field(path="day_avg_systolic_bp", metric=Metric.BLOOD_PRESSURE_SYSTOLIC),
            Field(path="day_avg_diastolic_bp", metric=Metric.BLOOD_PRESSURE_DIASTOLIC),
        ),
        *_under(
            "glucose_data",
            Field(path="day_avg_blood_glucose_mg_per_dL", metric=Metric.BLOOD_GLUCOSE),
        ),
        *_under(
            "temperature_data",
            Field(
                path="day_avg_body_temperature_celsius", metric=Metric.BODY_TEMPERATURE
            ),
            Field(
                path="day_avg_skin_temperature_celsius", metric=Metric.SKIN_TEMPERATURE
            ),
        ),
        Field(path="ketone_data.day_avg_ketone_mg_per_dL", metric=Metric.KETONES),
    ),
    Field(
        path="hydration_data.day_total_water_consumption_ml", metric=Metric.HYDRATION
    ),
)

_NUTRITION = (
    *_under(
        "summary.macros",
        Field(path="calories", metric=Metric.DIETARY_ENERGY),
        Field(path="protein_g", metric=Metric.PROTEIN),
        Field(path="carbohydrates_g", metric=Metric.CARBOHYDRATES),
        Field(path="fat_g", metric=Metric.FAT),
        Field(path="saturated_fat_g", metric=Metric.SATURATED_FAT),
        Field(path="fiber_g", metric=Metric.FIBER),
        Field(path="sugar_g", metric=Metric.SUGAR),
        Field(path="alcohol_g", metric=Metric.ALCOHOL),
        Field(path="sodium_mg", metric=Metric.SODIUM),
        Field(path="cholesterol_mg", metric=Metric.CHOLESTEROL),
    ),
    Field(path="summary.micros.caffeine_mg", metric=Metric.CAFFEINE),
    Field(path="summary.water_ml", metric=Metric.HYDRATION),
)

READINGS: dict[str, tuple[Field, ...]] = {
    "sleep": _SLEEP,
    "daily_activity": _DAILY,
    "workout": _WORKOUT,
    "body": _BODY,
    "nutrition": _NUTRITION,
    "menstruation": (),
}

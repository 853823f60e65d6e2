"""Which list of timed samples in a Terra document is which series, by record type.

Left out: positions and routes (where somebody was is nobody's business here), laps,
ECG voltages, samples of torque, power and cadence, and calorie samples, of which Terra
does not say whether they are the active or the total energy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from biometrics.catalogue import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A list of timed samples at `path` and the key under which each holds its value.

    `latest_is_reading` marks what somebody measures now and then (a weight): the last
    of the samples is also the record's reading.
    """

    path: str
    key: str
    metric: Metric
    scale: float = 1.0
    time_key: str = "timestamp"
    context: str | None = None
    latest_is_reading: bool = False


def _under(root: str, *rows: Samples) -> tuple[Samples, ...]:
    return tuple(replace(row, path=f"{root}.{row.path}") for row in rows)


_HEART = (
    Samples(path="hr_samples", key="bpm", metric=Metric.HEART_RATE),
    Samples(path="hrv_samples_rmssd", key="hrv_rmssd", metric=Metric.HRV_RMSSD),
    Samples(path="hrv_samples_sdnn", key="hrv_sdnn", metric=Metric.HRV_SDNN),
)
_OXYGEN = Samples(
    path="oxygen_data.saturation_samples",
    key="percentage",
    metric=Metric.OXYGEN_SATURATION,
)

_SLEEP = (
    *_under("heart_rate_data.detailed", *_HEART),
    Samples(
        path="respiration_data.breaths_data.samples",
        key="breaths_per_min",
        metric=Metric.RESPIRATORY_RATE,
    ),
    Samples(
        path="respiration_data.oxygen_saturation_data.samples",
        key="percentage",
        metric=Metric.OXYGEN_SATURATION,
    ),
)

_DISTANCE = (
    Samples(path="step_samples", key="steps", metric=Metric.STEPS),
    Samples(path="distance_samples", key="distance_meters", metric=Metric.DISTANCE),
    Samples(
        path="floors_climbed_samples",
        key="floors_climbed",
        metric=Metric.FLIGHTS_CLIMBED,
    ),
)
_MOVEMENT = (
    *_under("heart_rate_data.detailed", *_HEART),
    *_under("distance_data.detailed", *_DISTANCE),
    _OXYGEN,
    Samples(path="MET_data.MET_samples", key="level", metric=Metric.MET),
)
_DAILY = (
    *_MOVEMENT,
    Samples(path="stress_data.samples", key="level", metric=Metric.STRESS_SCORE),
)
_WORKOUT = (
    *_MOVEMENT,
    Samples(
        path="movement_data.speed_samples",
        key="speed_meters_per_second",
        metric=Metric.SPEED,
    ),
)

_MEASUREMENTS = tuple(
    Samples(
        path="measurements_data.measurements",
        key=key,
        metric=metric,
        scale=scale,
        time_key="measurement_time",
        latest_is_reading=True,
    )
    for key, metric, scale in (
        ("weight_kg", Metric.WEIGHT, 1.0),
        ("height_cm", Metric.HEIGHT, 0.01),
        ("BMI", Metric.BMI, 1.0),
        ("bodyfat_percentage", Metric.BODY_FAT, 1.0),
        ("water_percentage", Metric.BODY_WATER, 1.0),
        ("lean_mass_g", Metric.LEAN_BODY_MASS, 0.001),
        ("muscle_mass_g", Metric.MUSCLE_MASS, 0.001),
        ("bone_mass_g", Metric.BONE_MASS, 0.001),
    )
)
_BODY = (
    *_MEASUREMENTS,
    # One level deeper than in every other document.
    *_under("heart_data.heart_rate_data.detailed", *_HEART),
    Samples(
        path="heart_data.rr_interval_samples",
        key="rr_interval_ms",
        metric=Metric.RR_INTERVAL,
    ),
    Samples(
        path="heart_data.pulse_wave_velocity_samples",
        key="pulse_wave_velocity_meters_per_second",
        metric=Metric.PULSE_WAVE_VELOCITY,
        latest_is_reading=True,
    ),
    _OXYGEN,
    Samples(
        path="temperature_data.body_temperature_samples",
        key="temperature_celsius",
        metric=Metric.BODY_TEMPERATURE,
        latest_is_reading=True,
    ),
    Samples(
        path="temperature_data.skin_temperature_samples",
        key="temperature_celsius",
        metric=Metric.SKIN_TEMPERATURE,
    ),
    Samples(
        path="blood_pressure_data.blood_pressure_samples",
        key="systolic_bp",
        metric=Metric.BLOOD_PRESSURE_SYSTOLIC,
        latest_is_reading=True,
    ),
    Samples(
        path="blood_pressure_data.blood_pressure_samples",
        key="diastolic_bp",
        metric=Metric.BLOOD_PRESSURE_DIASTOLIC,
        latest_is_reading=True,
    ),
    Samples(
        path="glucose_data.blood_glucose_samples",
        key="blood_glucose_mg_per_dL",
        metric=Metric.BLOOD_GLUCOSE,
    ),
    Samples(
        path="glucose_data.detailed_blood_glucose_samples",
        key="blood_glucose_mg_per_dL",
        metric=Metric.BLOOD_GLUCOSE,
        context="detailed",
    ),
    Samples(
        path="ketone_data.ketone_samples",
        key="ketone_mg_per_dL",
        metric=Metric.KETONES,
        latest_is_reading=True,
    ),
)

SERIES: dict[str, tuple[Samples, ...]] = {
    "sleep": _SLEEP,
    "daily_activity": _DAILY,
    "workout": _WORKOUT,
    "body": _BODY,
    "nutrition": (),
    "menstruation": (),
}

"""What each Terra payload says, worked out from the documents by hand."""

from __future__ import annotations

import json
from datetime import date

import pytest

from biometrics.catalogue import Metric
from tests.vendors.deliveries import fixture
from tests.vendors.terra_bodies import Said, only, readings

ACTIVE_SECONDS: Said = {
    (Metric.ACTIVE_DURATION, None): 1800,
    (Metric.SEDENTARY_DURATION, None): 600,
    (Metric.LOW_ACTIVITY_DURATION, None): 900,
    (Metric.MEDIUM_ACTIVITY_DURATION, None): 600,
    (Metric.HIGH_ACTIVITY_DURATION, None): 300,
    (Metric.RESTING_DURATION, None): 120,
    (Metric.MET_AVERAGE, None): 3.8,
    (Metric.VO2_MAX, None): 45.5,
    (Metric.STRAIN_SCORE, None): 14.5,
    (Metric.ALTITUDE_GAIN, None): 550,
    (Metric.RESTING_HEART_RATE, None): 65,
}


def heart(context: str) -> Said:
    return {
        (Metric.HEART_RATE_AVERAGE, context): 145,
        (Metric.HEART_RATE_MIN, context): 85,
        (Metric.HEART_RATE_MAX, context): 180,
        (Metric.HRV_RMSSD, context): 35.2,
        (Metric.HRV_SDNN, context): 45.5,
    }


EXPECTED: dict[str, Said] = {
    "webhook_sleep.json": {
        (Metric.SLEEP_DURATION, None): 25200,
        (Metric.SLEEP_DEEP, None): 5400,
        (Metric.SLEEP_REM, None): 5100,
        (Metric.SLEEP_AWAKE, None): 1500,
        (Metric.SLEEP_EFFICIENCY, None): 91.5,
    },
    "webhook_activity.json": {
        (Metric.DISTANCE, None): 8250.4,
        (Metric.STEPS, None): 7902,
        (Metric.TOTAL_ENERGY, None): 512.5,
        (Metric.ACTIVE_ENERGY, None): 431.2,
        (Metric.HEART_RATE_AVERAGE, "workout"): 148.2,
        (Metric.HEART_RATE_MAX, "workout"): 181,
    },
    "webhook_daily.json": {
        (Metric.STEPS, None): 11894,
        (Metric.DISTANCE, None): 9412.7,
        (Metric.TOTAL_ENERGY, None): 2450.8,
        (Metric.ACTIVE_DURATION, None): 5340,
    },
    "webhook_body.json": {
        (Metric.WEIGHT, None): 72.4,
        (Metric.BODY_FAT, None): 17.9,
        (Metric.BMI, None): 22.6,
        (Metric.RESTING_HEART_RATE, None): 52,
    },
    "webhook_nutrition.json": {
        (Metric.DIETARY_ENERGY, None): 2105,
        (Metric.PROTEIN, None): 128.4,
        (Metric.CARBOHYDRATES, None): 231,
        (Metric.FAT, None): 71.3,
        (Metric.HYDRATION, None): 2300,
    },
    "webhook_menstruation.json": {},
    "webhook_athlete.json": {},
    "assembled_webhook_sleep_full.json": {
        **heart("sleep"),
        (Metric.SLEEP_DURATION, None): 25200,
        (Metric.SLEEP_DEEP, None): 5400,
        (Metric.SLEEP_LIGHT, None): 14400,
        (Metric.SLEEP_REM, None): 5400,
        (Metric.SLEEP_AWAKE, None): 1200,
        (Metric.SLEEP_LATENCY, None): 900,
        (Metric.SLEEP_DISTURBANCES, None): 3,
        (Metric.TIME_IN_BED, None): 28800,
        (Metric.SLEEP_EFFICIENCY, None): 87.5,
        (Metric.RESTING_HEART_RATE, None): 65,
        (Metric.RESPIRATORY_RATE, "sleep"): 14,
        (Metric.OXYGEN_SATURATION, "sleep"): 97,
        (Metric.SKIN_TEMPERATURE_DEVIATION, "sleep"): 0.5,
        (Metric.READINESS_SCORE, None): 85,
        (Metric.SLEEP_SCORE, None): 85,
    },
    "assembled_webhook_activity_full.json": {
        **ACTIVE_SECONDS,
        **heart("workout"),
        (Metric.OXYGEN_SATURATION, "workout"): 98,
        (Metric.SPEED_AVERAGE, None): 3.2,
        (Metric.SPEED_MAX, None): 4.5,
        (Metric.CADENCE_AVERAGE, None): 85,
        (Metric.CADENCE_MAX, None): 110,
        (Metric.POWER_AVERAGE, None): 185,
        (Metric.POWER_MAX, None): 350,
    },
    "assembled_webhook_daily_full.json": {
        **ACTIVE_SECONDS,
        **heart("day"),
        (Metric.STEPS, None): 12000,
        (Metric.DISTANCE, None): 8500.45,
        (Metric.FLIGHTS_CLIMBED, None): 15,
        (Metric.OXYGEN_SATURATION, "day"): 98,
        (Metric.ACTIVITY_SCORE, None): 92,
        (Metric.RECOVERY_SCORE, None): 78,
        (Metric.SLEEP_SCORE, None): 85,
        (Metric.STRESS_SCORE, None): 45.5,
        (Metric.STRESS_SCORE, "max"): 85,
        (Metric.STRESS_DURATION, None): 5400,
        (Metric.STRESS_DURATION, "low"): 28800,
        (Metric.STRESS_DURATION, "medium"): 7200,
        (Metric.STRESS_DURATION, "high"): 900,
        (Metric.STRESS_DURATION, "activity"): 3600,
        (Metric.STRESS_RECOVERY_DURATION, None): 1800,
    },
    "assembled_webhook_body_full.json": {
        **heart("day"),
        (Metric.RESTING_HEART_RATE, None): 65,
        (Metric.OXYGEN_SATURATION, "day"): 98,
        (Metric.VO2_MAX, None): 45.5,
        (Metric.WEIGHT, None): 75.5,
        (Metric.WEIGHT, "day"): 70.5,
        (Metric.HEIGHT, None): 1.78,
        (Metric.HEIGHT, "day"): 1.75,
        (Metric.BMI, None): 22.4,
        (Metric.BMI, "day"): 22.5,
        (Metric.BODY_FAT, None): 18.5,
        (Metric.BODY_FAT, "day"): 18.2,
        (Metric.BODY_WATER, None): 60.5,
        (Metric.BODY_WATER, "day"): 55,
        (Metric.LEAN_BODY_MASS, None): 61.5,
        (Metric.LEAN_BODY_MASS, "day"): 55,
        (Metric.MUSCLE_MASS, None): 35,
        (Metric.MUSCLE_MASS, "day"): 32,
        (Metric.BONE_MASS, None): 3.2,
        (Metric.BONE_MASS, "day"): 3.2,
        (Metric.BLOOD_PRESSURE_SYSTOLIC, None): 120.5,
        (Metric.BLOOD_PRESSURE_SYSTOLIC, "day"): 120,
        (Metric.BLOOD_PRESSURE_DIASTOLIC, None): 80.5,
        (Metric.BLOOD_PRESSURE_DIASTOLIC, "day"): 80,
        (Metric.BLOOD_GLUCOSE, "day"): 92.5,
        (Metric.BODY_TEMPERATURE, None): 37.2,
        (Metric.BODY_TEMPERATURE, "day"): 36.7,
        (Metric.SKIN_TEMPERATURE, "day"): 33.2,
        (Metric.KETONES, None): 1.5,
        (Metric.KETONES, "day"): 1.2,
        (Metric.PULSE_WAVE_VELOCITY, None): 7.2,
        (Metric.HYDRATION, None): 2500,
    },
    "assembled_webhook_nutrition_full.json": {
        (Metric.DIETARY_ENERGY, None): 2000,
        (Metric.PROTEIN, None): 50,
        (Metric.CARBOHYDRATES, None): 300,
        (Metric.FAT, None): 65,
        (Metric.SATURATED_FAT, None): 20,
        (Metric.FIBER, None): 25,
        (Metric.SUGAR, None): 25,
        (Metric.ALCOHOL, None): 14,
        (Metric.SODIUM, None): 2300,
        (Metric.CHOLESTEROL, None): 300,
        (Metric.CAFFEINE, None): 95,
        (Metric.HYDRATION, None): 2000,
    },
    "assembled_webhook_menstruation_full.json": {},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_sample_gives_exactly_these_readings(name: str) -> None:
    assert readings(only(fixture("terra", name))) == EXPECTED[name]


JULY_FIRST = ("2026-07-01T00:00:00+01:00", "2026-07-02T00:00:00+01:00")


@pytest.mark.parametrize(
    ("name", "identity", "times"),
    [
        (
            "sleep",
            ("sleep", "2026-06-30T23:12:00+01:00/2026-07-01T07:02:00+01:00"),
            ("2026-06-30T23:12:00+01:00", "2026-07-01T07:02:00+01:00"),
        ),
        (
            "activity",
            ("workout", "123e4567-e89b-12d3-a456-426614174000"),
            ("2026-07-01T07:04:11+01:00", "2026-07-01T07:52:48+01:00"),
        ),
        ("daily", ("daily_activity", "2026-07-01"), JULY_FIRST),
        ("body", ("body", "2026-07-01"), JULY_FIRST),
        ("nutrition", ("nutrition", "2026-07-01"), JULY_FIRST),
        ("menstruation", ("menstruation", "2026-07-01"), JULY_FIRST),
    ],
)
def test_identity_and_times_are_as_written(
    name: str, identity: tuple[str, str], times: tuple[str, str]
) -> None:
    record = only(fixture("terra", f"webhook_{name}.json"))
    assert (record.record_type, record.record_id) == identity
    assert record.start is not None
    assert record.end is not None
    assert (record.start.isoformat(), record.end.isoformat()) == times
    assert record.zone_offset == "+01:00"
    assert record.local_date == date(2026, 7, 1)
    assert record.action == "updated"
    assert record.attributes["provider"] == "garmin"
    assert not record.problems


def test_a_profile_names_nobody() -> None:
    body = fixture("terra", "webhook_athlete.json")
    record = only(body)
    assert record.record_type == "profile"
    assert record.attributes == {"provider": "garmin", "sex": "male"}
    for private in json.loads(body)["athlete"].values():
        assert private == "male" or private not in repr(record)


def test_a_cycle_is_facts_not_measurements() -> None:
    record = only(fixture("terra", "webhook_menstruation.json"))
    assert record.attributes == {
        "provider": "garmin",
        "period_start_date": "2026-06-28",
        "day_in_cycle": 4,
        "period_length_days": 5,
        "current_phase": 1,
        "is_predicted_cycle": False,
    }

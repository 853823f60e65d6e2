"""Workouts from phones, worked out from the documents by hand."""

from __future__ import annotations

import pytest

from biometrics.catalogue import Metric
from tests.vendors.deliveries import fixture
from tests.vendors.healthkit_bodies import (
    Said,
    export,
    only,
    point,
    readings,
    understand,
)

WORKOUTS: dict[str, tuple[str, Said]] = {
    "openwearables_sync_sample_sdk_payload.json": (
        "801B68D7-F4AA-4A23-BD26-A3BA1BA6B08D",
        {
            (Metric.DURATION, None): 1683.27,
            (Metric.ACTIVE_ENERGY, None): 131.41,
            (Metric.BASAL_ENERGY, None): 48.59,
            (Metric.DISTANCE, None): 2165.35,
            (Metric.HEART_RATE_MIN, "workout"): 77,
            (Metric.HEART_RATE_AVERAGE, "workout"): 121.49,
            (Metric.HEART_RATE_MAX, "workout"): 141,
            (Metric.ALTITUDE_GAIN, None): 15.57,
            (Metric.MET_AVERAGE, None): 1.6,
        },
    ),
    "openwearables_sync_schema_example_samsung.json": (
        "wrk-001-s0",
        {
            # 2,700,000 ms
            (Metric.DURATION, None): 2700,
            (Metric.ACTIVE_ENERGY, None): 345.5,
            (Metric.DISTANCE, None): 5234,
            (Metric.HEART_RATE_AVERAGE, "workout"): 142.3,
            (Metric.HEART_RATE_MAX, "workout"): 178,
            (Metric.HEART_RATE_MIN, "workout"): 95,
            (Metric.SPEED_AVERAGE, None): 1.5,
            (Metric.SPEED_MAX, None): 3.2,
            (Metric.CADENCE_AVERAGE, None): 165,
            (Metric.CADENCE_MAX, None): 182,
            (Metric.ALTITUDE_GAIN, None): 45,
            (Metric.VO2_MAX, None): 42.5,
        },
    ),
    "openwearables_sync_test_import_duplicate_workout_skipped.json": (
        "DDDD0000-1111-2222-3333-444455556666",
        {(Metric.DURATION, None): 1800},
    ),
    "openwearables_sync_test_import_workout_with_steps.json": (
        "FFFF0000-1111-2222-3333-444455556666",
        {
            (Metric.DURATION, None): 2700,
            (Metric.STEPS, None): 4500,
            (Metric.DISTANCE, None): 3200,
        },
    ),
    "openwearables_sync_test_import_workout_without_heart_rate.json": (
        "AAAA0000-1111-2222-3333-444455556666",
        {
            (Metric.DURATION, None): 819.51,
            (Metric.ACTIVE_ENERGY, None): 77.16,
            (Metric.BASAL_ENERGY, None): 19.01,
        },
    ),
    "hae_v1_workouts_route.json": (
        "2021-12-24T08:02:43+08:00/Walking",
        {
            (Metric.STEPS, None): 908,
            # 226.21122641832523 kJ
            (Metric.ACTIVE_ENERGY, None): 54.065781,
            (Metric.ALTITUDE_GAIN, None): 16.36,
        },
    ),
}


@pytest.mark.parametrize("name", WORKOUTS)
def test_every_workout_gives_exactly_these_readings(name: str) -> None:
    record_id, said = WORKOUTS[name]
    one = only(fixture("healthkit", name), record_type="workout")
    assert one.record_id == record_id
    assert readings(one) == pytest.approx(said, rel=1e-7)
    assert not one.problems


def test_no_route_and_no_note_leaves_the_phone() -> None:
    for name in ("openwearables_sync_schema_example_samsung", "hae_v1_workouts_route"):
        said = repr(understand(fixture("healthkit", f"{name}.json")))
        for private in (
            "52.229",
            "21.012",
            "38.8951",
            "77.0364",
            "park",
            "R9ZW30ABC12",
        ):
            assert private not in said


def test_android_keeps_its_wall_and_its_series() -> None:
    body = fixture("healthkit", "openwearables_sync_schema_example_samsung.json")
    workout = only(body, record_type="workout")
    assert workout.start is not None
    assert workout.start.isoformat() == "2026-02-24T07:00:00+01:00"
    assert workout.zone_offset == "+01:00"
    assert {s.metric: list(s.values) for s in workout.series} == {
        Metric.HEART_RATE: [110],
        Metric.CADENCE: [155],
        Metric.SPEED: [1.8],
    }
    pressure = only(body, record_type="samples")
    assert readings(pressure) == {(Metric.BLOOD_PRESSURE_SYSTOLIC, None): 122}
    assert pressure.attributes["provider"] == "samsung"


def test_a_workout_of_health_auto_export_reads_its_units() -> None:
    one = only(
        export(
            workouts=[
                {
                    "id": "w-1",
                    "name": "Outdoor Run",
                    "start": "2026-08-11 07:00:00 +0200",
                    "end": "2026-08-11 07:30:00 +0200",
                    "duration": 1800,
                    "isIndoor": False,
                    "distance": {"qty": 3, "units": "mi"},
                    "activeEnergyBurned": {"qty": 1000, "units": "kJ"},
                    "activeEnergy": [point(4, at="2026-08-11 07:01:00 +0200")],
                    "avgHeartRate": {"qty": 140, "units": "count/min"},
                    "heartRate": {"avg": {"qty": 141}, "max": {"qty": 171}},
                }
            ]
        )
    )
    assert readings(one) == pytest.approx(
        {
            (Metric.DURATION, None): 1800,
            (Metric.DISTANCE, None): 4828.032,
            (Metric.ACTIVE_ENERGY, None): 239.005736,
            (Metric.HEART_RATE_AVERAGE, "workout"): 140,
            (Metric.HEART_RATE_MAX, "workout"): 171,
        },
        rel=1e-8,
    )
    assert one.attributes["activity"] == "outdoor run"
    assert one.attributes["indoor"] is False

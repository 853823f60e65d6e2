"""Units and dates as phones write them."""

from __future__ import annotations

from datetime import datetime

import pytest

from biometrics.catalogue import Metric
from tests.vendors.healthkit_bodies import (
    export,
    metric,
    only,
    point,
    readings,
    record,
    sync,
    understand,
    values,
)


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("HeartRateVariabilitySDNN", 42, "ms", 42),
        ("HeartRateVariabilitySDNN", 0.042, "s", 42),
        ("HeartRateVariabilityRMSSD", 0.042, "s", 42),
        ("OxygenSaturation", 0.97, "%", 97),
        ("OxygenSaturation", 1.0, "%", 100),
        ("OxygenSaturation", 97, "%", 97),
        ("ActiveEnergyBurned", 100, "Cal", 100),
        ("ActiveEnergyBurned", 418.4, "kJ", 100),
        ("ActiveEnergyBurned", 1000, "cal", 1),
        ("BodyTemperature", 98.6, "degF", 37),
        ("BodyTemperature", 37, "degC", 37),
        ("BodyMass", 150, "lb", 68.0388555),
        ("BodyMassIndex", 22.5, "kg/m\u00b2", 22.5),
        ("Height", 180, "cm", 1.8),
        ("DistanceCycling", 1, "mi", 1609.344),
        ("BloodGlucose", 5, "mmol<180.15588000005408>/L", 90.078),
        ("VO2Max", 41.5, "mL/min\u00b7kg", 41.5),
        ("VO2Max", 41.5, "ml/(kg*min)", 41.5),
        ("DietaryWater", 0.5, "L", 500),
        ("AppleExerciseTime", 30, "min", 1800),
        ("HeartRate", 60, None, 60),
    ],
)
def test_the_unit_decides(
    name: str, value: float, unit: str | None, expected: float
) -> None:
    one = only(sync(records=[record(name, value, unit=unit)]))
    ((_, found),) = values(one).items()
    assert found == pytest.approx([expected], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("HeartRateVariabilitySDNN", 0.042, "ms"),
        ("HeartRateVariabilitySDNN", 42, None),
        ("ActiveEnergyBurned", 100, None),
        ("ActiveEnergyBurned", 100, "bananas"),
        ("BodyMass", 70, "lbs of sugar"),
        ("HeartRate", 0, "bpm"),
        ("HeartRate", 999, "bpm"),
        ("HeartRate", "60", "bpm"),
        ("HeartRate", True, "bpm"),
        ("HeartRate", None, "bpm"),
        ("OxygenSaturation", 0.2, "%"),
    ],
)
def test_what_is_no_plausible_number_with_a_unit_is_left_out_and_named(
    name: str, value: object, unit: str | None
) -> None:
    good = record("StepCount", 7, unit="count")
    said = understand(sync(records=[record(name, value, unit=unit), good]))
    assert [s.metric for r in said.records for s in r.series] == [Metric.STEPS]
    (problem,) = said.problems
    assert problem.field == f"data.records.HKQuantityTypeIdentifier{name}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-05 00:00:00 -0500", "2026-05-05T00:00:00-05:00"),
        ("2026-05-05 8:15:00 PM -0500", "2026-05-05T20:15:00-05:00"),
        ("2026-05-05 8:15:00\u202fPM -0500", "2026-05-05T20:15:00-05:00"),
        ("2026-05-05 12:15:00\u202fam +0530", "2026-05-05T00:15:00+05:30"),
        ("2026-05-05 12:15:00 p.m. +0000", "2026-05-05T12:15:00+00:00"),
        ("2026-05-05", "2026-05-05T00:00:00+00:00"),
        ("2026-05-05T20:15:00Z", "2026-05-05T20:15:00+00:00"),
    ],
)
def test_dates_in_every_dress(text: str, expected: str) -> None:
    one = only(export(metric("resting_heart_rate", "bpm", point(55, at=text))))
    assert one.start is not None
    assert one.start == datetime.fromisoformat(expected)
    assert one.start.utcoffset() == datetime.fromisoformat(expected).utcoffset()
    assert one.local_date == datetime.fromisoformat(expected).date()
    has_offset = len(text) > 10
    assert (one.zone_offset is not None) == has_offset


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-05 13:15:00 PM +0000",
        "2026-05-05 25:00:00 +0000",
        "2026-05-05 08:00:00 +9900",
        "2026-02-30 08:00:00 +0000",
        "1999-05-05",
        "05/05/2026 08:00",
    ],
)
def test_what_is_no_date_costs_only_its_point(text: str) -> None:
    said = understand(
        export(metric("resting_heart_rate", "bpm", point(55, at=text), point(56)))
    )
    (one,) = said.records
    assert readings(one) == {(Metric.RESTING_HEART_RATE, None): 56}
    assert [p.field for p in said.problems] == ["data.metrics.resting_heart_rate.date"]

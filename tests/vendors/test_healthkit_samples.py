"""Samples from phones, worked out from the documents by hand."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from biometrics.catalogue import Metric
from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.records import Record
from tests.vendors.deliveries import fixture
from tests.vendors.healthkit_bodies import (
    PHONE,
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

# Records of the generated week by metric: its types with a metric, counted by hand.
WEEK = {
    Metric.DISTANCE: 20,
    Metric.HEART_RATE: 13,
    Metric.BODY_FAT: 1,
    Metric.ACTIVE_ENERGY: 18,
    Metric.BASAL_ENERGY: 18,
    Metric.STEPS: 13,
    Metric.RESTING_HEART_RATE: 2,
    Metric.BLOOD_PRESSURE_SYSTOLIC: 2,
    Metric.VO2_MAX: 2,
    Metric.SPEED: 1,
    Metric.FLIGHTS_CLIMBED: 2,
    Metric.WEIGHT: 1,
    Metric.OXYGEN_SATURATION: 3,
    Metric.POWER: 2,
    Metric.BMI: 3,
    Metric.RESPIRATORY_RATE: 1,
    Metric.BODY_TEMPERATURE: 1,
    Metric.WALKING_SPEED: 2,
    Metric.HEIGHT: 1,
}


def week(record_type: str) -> list[Record]:
    body = fixture("healthkit", "openwearables_sync_generated_week.json")
    return [r for r in understand(body).records if r.record_type == record_type]


def test_every_sample_of_a_week_is_there_once() -> None:
    counted: Counter[Metric] = Counter()
    for one in week("samples"):
        for series in one.series:
            counted[series.metric] += len(series.values)
    assert counted == WEEK


def test_a_week_without_metric_is_told_by_type_and_number() -> None:
    body = fixture("healthkit", "openwearables_sync_generated_week.json")
    told = {p.field.rpartition("Identifier")[2]: p for p in understand(body).problems}
    assert told["RunningStrideLength"].reason.endswith("(3)")
    assert "AppleStandTime" in told
    assert "HeartRate" not in told


def test_fractions_become_per_cent() -> None:
    found = {
        series.metric: series.values
        for one in week("samples")
        for series in one.series
        if series.metric in {Metric.BODY_FAT, Metric.OXYGEN_SATURATION}
    }
    assert found[Metric.BODY_FAT] == (32,)
    assert set(found[Metric.OXYGEN_SATURATION]) <= {94, 95, 96}


def test_kilojoules_are_converted_and_an_empty_metric_is_silent() -> None:
    said = understand(fixture("healthkit", "hae_v1_metrics_empty_metric.json"))
    (one,) = said.records
    (series,) = one.series
    assert series.metric == Metric.ACTIVE_ENERGY
    assert list(series.values) == pytest.approx([0.1836921, 0.0903079], rel=1e-6)
    assert series.start.isoformat() == "2021-12-24T00:04:00+08:00"
    assert list(series.offsets_s or ()) == [0, 60]
    assert one.local_date == date(2021, 12, 24)
    assert not said.problems


def test_sdnn_and_rmssd_never_share_a_record() -> None:
    body = sync(
        records=[
            record("HeartRateVariabilitySDNN", 50, unit="ms"),
            record("HeartRateVariabilityRMSSD", 40, unit="ms"),
        ]
    )
    found = {s.metric: s.values for r in understand(body).records for s in r.series}
    assert found == {Metric.HRV_SDNN: (50,), Metric.HRV_RMSSD: (40,)}


def heart_rates(*times: str, offset: str | None = None) -> list[dict[str, Any]]:
    return [
        record("HeartRate", 60 + index, at=at, zoneOffset=offset)
        for index, at in enumerate(times)
    ]


def test_samples_are_one_record_a_local_day() -> None:
    times = ("2026-08-10T21:59:00Z", "2026-08-10T22:01:00Z", "2026-08-11T21:00:00Z")
    said = understand(sync(records=heart_rates(*times, offset="+02:00"))).records
    days = {one.local_date: values(one)["watch"] for one in said}
    assert days == {date(2026, 8, 10): [60], date(2026, 8, 11): [61, 62]}
    assert {one.zone_offset for one in said} == {"+02:00"}
    without = understand(sync(records=heart_rates(*times))).records
    assert {one.local_date for one in without} == {
        date(2026, 8, 10),
        date(2026, 8, 11),
    }
    assert values(without[0])["watch"] == [60, 61]


def test_watch_and_phone_are_two_series_not_a_sum() -> None:
    steps = [
        record("StepCount", 900, unit="count"),
        record("StepCount", 840, unit="count", source=PHONE),
    ]
    one = only(sync(records=steps))
    assert values(one) == {"phone": [840], "watch": [900]}
    assert not one.readings


def test_distances_on_foot_and_by_bicycle_stay_apart() -> None:
    body = sync(
        records=[
            record("DistanceWalkingRunning", 100, unit="m"),
            record("DistanceCycling", 5000, unit="m"),
        ]
    )
    assert values(only(body)) == {"cycling:watch": [5000], "on_foot:watch": [100]}


def test_the_same_samples_are_the_same_record_in_any_order() -> None:
    rates = heart_rates("2026-08-11T10:00:00Z", "2026-08-11T10:05:00Z")
    first = only(sync(records=rates))
    again = only(sync(records=[*reversed(rates), rates[0]]))
    more = only(sync(records=[*rates, *heart_rates("2026-08-11T10:09:00Z")]))
    assert again.record_id == first.record_id
    assert again.series == first.series
    assert more.record_id != first.record_id
    assert first.record_id.startswith("heart_rate:2026-08-11:")
    assert len(first.record_id.rpartition(":")[2]) == 16


def test_the_last_of_what_is_measured_now_and_then_is_the_days_reading() -> None:
    weights = [
        record("BodyMass", 71, unit="kg", at="2026-08-11T19:00:00Z", source=PHONE),
        record("BodyMass", 70, unit="kg", at="2026-08-11T06:00:00Z"),
    ]
    one = only(sync(records=weights))
    assert readings(one) == {(Metric.WEIGHT, None): 71}


def test_points_with_several_values_become_several_metrics() -> None:
    body = export(
        metric(
            "heart_rate",
            "count/min",
            {**point(None), "Min": 50, "Avg": 55.5, "Max": 80},
        ),
        metric("blood_pressure", "mmHg", {**point(None), "systolic": 121}),
    )
    found = {s.metric: s.values for r in understand(body).records for s in r.series}
    assert found == {
        Metric.HEART_RATE_MIN: (50,),
        Metric.HEART_RATE_AVERAGE: (55.5,),
        Metric.HEART_RATE_MAX: (80,),
        Metric.BLOOD_PRESSURE_SYSTOLIC: (121,),
    }


@pytest.mark.parametrize(
    ("name", "units", "known"),
    [
        ("Heart Rate Variability", "ms", Metric.HRV_SDNN),
        ("Weight & Body Mass", "kg", Metric.WEIGHT),
        ("walking_running_distance", "km", Metric.DISTANCE),
    ],
)
def test_display_names_are_understood(name: str, units: str, known: Metric) -> None:
    one = only(export(metric(name, units, point(50))))
    assert [s.metric for s in one.series] == [known]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": {"records": "none"}}, "data.records"),
        (sync(records=[{"type": [5]}]), "data.records.type"),
        (
            sync(records=[record("HeartRate", 60, at="never")]),
            "data.records.HKQuantityTypeIdentifierHeartRate.startDate",
        ),
        (sync(sleep=[{"stage": "deep"}]), "data.sleep.startDate"),
        (sync(workouts=[{"type": "running"}]), "data.workouts.id"),
        (export(metric("step_count", "count", "x")), "data.metrics.step_count"),
        ({"data": []}, "data"),
    ],
)
def test_a_push_in_which_nothing_is_right_is_parked_by_field(
    body: dict[str, Any], field: str
) -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        understand(body)
    assert caught.value.field == field


def test_only_unknown_kinds_are_ignored_not_parked() -> None:
    said = understand(sync(records=[record("NikeFuel", 5), record("NikeFuel", 6)]))
    assert said.ignored
    (problem,) = said.problems
    assert problem.reason.endswith("(2)")


def test_thousands_of_different_faults_are_told_in_few_problems() -> None:
    records = [record(f"Invented{index}", 1) for index in range(3000)]
    said = understand(sync(records=[*records, record("HeartRate", 60)]))
    assert len(said.records) == 1
    assert len(said.problems) < 100

"""Samples, corrections and bad input from Terra."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from biometrics.catalogue import Metric
from biometrics.errors import UnreadableDeliveryError
from tests.vendors.deliveries import fixture
from tests.vendors.terra_bodies import (
    USER,
    only,
    readings,
    sleep,
    understand,
)


def test_upload_type_4_deletes_everything_but_a_sleep() -> None:
    assert only(sleep(metadata__upload_type=4)).action == "updated"
    body = json.loads(fixture("terra", "webhook_activity.json"))
    body["data"][0]["metadata"]["upload_type"] = 4
    record = only(body)
    assert record.action == "deleted"
    assert record.record_id == "123e4567-e89b-12d3-a456-426614174000"
    assert not record.readings


def test_activity_type_zero_is_a_type() -> None:
    body = json.loads(fixture("terra", "webhook_activity.json"))
    body["data"][0]["metadata"]["type"] = 0
    assert only(body).attributes["activity_type"] == 0


def test_detailed_samples_become_one_series_in_time_order() -> None:
    samples = [
        {"timestamp": "2026-08-11T23:14:00+02:00", "bpm": 66},
        {"timestamp": "2026-08-11T23:04:30+02:00", "bpm": 74},
        {"timestamp": "2026-08-11T23:09:00+02:00", "bpm": None},
        {"timestamp": "2026-08-11T23:10:00+02:00", "bpm": 999},
        {"timestamp": "1999-08-11T23:10:00+02:00", "bpm": 70},
        {"timestamp": "2026-07-01T23:10:00+02:00", "bpm": 70},
        "no sample",
    ]
    record = only(sleep(heart_rate_data__detailed={"hr_samples": samples}))
    (series,) = record.series
    assert series.metric == Metric.HEART_RATE
    assert series.start == datetime.fromisoformat("2026-08-11T23:04:30+02:00")
    assert list(series.values) == [74, 66]
    assert list(series.offsets_s or ()) == [0, 570]
    (problem,) = record.problems
    assert problem.field == "data[0].heart_rate_data.detailed.hr_samples.bpm"
    assert "4 of 7" in problem.reason


def test_bodies_heart_lies_one_level_deeper() -> None:
    record = only(fixture("terra", "assembled_webhook_body_full.json"))
    series = {s.metric: s.values for s in record.series if s.context is None}
    assert series[Metric.HEART_RATE] == (142,)
    assert series[Metric.RR_INTERVAL] == (850,)
    assert series[Metric.BLOOD_GLUCOSE] == (95,)


def test_the_last_measurement_of_a_day_is_its_reading() -> None:
    body = json.loads(fixture("terra", "webhook_body.json"))
    measured = body["data"][0]["measurements_data"]["measurements"]
    later = {"measurement_time": "2026-07-01T21:00:00+01:00", "weight_kg": 73.1}
    measured.insert(0, later)
    record = only(body)
    weights = [r.value for r in record.readings if r.metric == Metric.WEIGHT]
    assert weights == [73.1]
    fat = [r.value for r in record.readings if r.metric == Metric.BODY_FAT]
    assert fat == [17.9]


def test_times_that_cannot_be_are_missing_and_named() -> None:
    for key, value in [
        ("start_time", "1970-01-01T00:00:00Z"),
        ("end_time", "2026-08-11T22:00:00+02:00"),
        ("end_time", "2026-09-30T07:00:00+02:00"),
        ("end_time", "tomorrow"),
    ]:
        record = only(sleep(**{f"metadata__{key}": value}))
        assert getattr(record, key.removesuffix("_time")) is None
        assert [p.field for p in record.problems] == [f"data[0].metadata.{key}"]
        assert readings(record)[Metric.SLEEP_DURATION, None] == 26100


def test_one_bad_item_costs_only_itself() -> None:
    body = sleep()
    body["data"] += ["nonsense", {"metadata": {}}]
    said = understand(body)
    assert len(said.records) == 1
    assert [p.field for p in said.problems] == [
        "data[1]",
        "data[2].metadata.summary_id",
    ]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "data"),
        ({}, "data"),
        ([None], "data[0]"),
        ([{"metadata": {"start_time": "never"}}], "data[0].metadata.start_time"),
    ],
)
def test_a_delivery_without_any_record_is_parked_by_field(
    data: object, field: str
) -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        understand({"type": "daily", "user": USER, "data": data})
    assert caught.value.field == field


def test_no_data_is_ignored_not_an_error() -> None:
    assert understand({"type": "daily", "user": USER, "data": []}).ignored

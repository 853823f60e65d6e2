"""Times, series and faults of Oura's documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from biometrics.catalogue import Metric
from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.records import Problem, Record
from tests.vendors.oura_documents import official, read
from tests.vendors.said import problems, readings, times


def test_end_before_start_leaves_no_times() -> None:
    record = official("workout")

    assert times(record) == (None, None, None, "2021-01-01")
    assert problems(record) == ["end_datetime"]
    assert readings(record) == {
        "total_energy@workout": 300,
        "distance@workout": 13500.5,
    }
    assert record.attributes == {
        "activity": "cycling",
        "intensity": "moderate",
        "source": "manual",
    }


@pytest.mark.parametrize("when", ["1969-01-01T00:00:00Z", "2126-01-01T00:00:00Z", 5])
def test_a_time_that_cannot_be_is_missing(when: object) -> None:
    record = official("tag", timestamp=when)

    assert record.start is None
    assert problems(record) == ["timestamp"]


@pytest.mark.parametrize("day", ["9999-12-31", "1999-12-31", "2026-08-15", "today"])
def test_a_day_that_cannot_be_is_missing(day: str) -> None:
    record = official("daily_spo2", day=day)

    assert record.local_date is None
    assert problems(record)[0] == "day"


def test_a_field_that_fills_two_readings_is_reported_once() -> None:
    record = official("sleep", lowest_heart_rate=4)

    assert problems(record).count("lowest_heart_rate") == 1


# Series


def _hrv(**changes: Any) -> Record:
    hrv = {"interval": 300, "items": [55, None, 61], "timestamp": "2022-07-12T01:05:14"}
    return official("sleep", heart_rate=None, hrv=hrv | changes)


def test_a_series_without_an_offset_holds_the_wall_time() -> None:
    (series,) = _hrv().series

    assert series.start == datetime(2022, 7, 12, 1, 5, 14, tzinfo=UTC)
    assert (series.metric, series.values) == (Metric.HRV_RMSSD, (55.0, None, 61.0))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"items": "55,61"}, "hrv.items"),
        ({"interval": 0}, "hrv.interval"),
        ({"interval": True}, "hrv.interval"),
        ({"interval": 1e9}, "hrv.interval"),
        ({"timestamp": None}, "hrv.timestamp"),
        ({"timestamp": "yesterday"}, "hrv.timestamp"),
    ],
)
def test_a_series_that_cannot_be_placed_is_left_out(
    changes: dict[str, Any], field: str
) -> None:
    record = _hrv(**changes)

    assert record.series == ()
    assert field in problems(record)


def test_a_bad_sample_is_missing_in_its_place_and_reported_once() -> None:
    record = _hrv(items=[55, -102, "61", 10**6, 64])

    assert record.series[0].values == (55.0, None, None, None, 64.0)
    assert problems(record).count("hrv.items") == 1


def test_padding_up_to_the_end_of_the_day_is_missing() -> None:
    met = {
        "interval": 60,
        "items": [0.9, 1.2, 0.9, 3.4, 0.9, 0.9, 0.9],
        "timestamp": "2021-11-26T04:00:00.000-08:00",
    }
    record = official("daily_activity", met=met)

    assert record.series[0].values == (0.9, 1.2, 0.9, 3.4)
    assert record.problems == (
        Problem(field="met.items", reason="padded to the end of the day"),
    )
    empty = official("daily_activity", met=met | {"items": [0.9, 0.9]})
    assert empty.series == ()


# What no record can be made of


@pytest.mark.parametrize(
    "document", [None, [], "text", {}, {"id": None}, {"id": "\x00"}]
)
def test_a_document_without_an_id_is_unreadable(document: object) -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        read("sleep", document)
    assert caught.value.field in {"document", "document.id"}


def test_an_unknown_collection_is_unreadable() -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        read("ring_battery_level", {"id": "a"})
    assert caught.value.field == "data_type"

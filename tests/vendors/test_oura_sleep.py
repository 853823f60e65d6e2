"""What Oura's sleep documents mean, told by hand from the vendor's descriptions."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from biometrics.catalogue import Metric
from biometrics.vendors.records import NightSignals, Series
from tests.vendors.deliveries import NOW
from tests.vendors.oura_documents import load, official, read
from tests.vendors.said import problems, readings, times


def test_the_official_sleep() -> None:
    record = official("sleep")

    assert (record.record_type, record.action, record.stamp) == (
        "sleep",
        "updated",
        NOW,
    )
    assert record.record_id == "8f9a5221-639e-4a85-81cb-4065ef23f979"
    assert times(record) == (
        "2022-07-12T01:05:14-07:00",
        "2022-07-12T09:25:14-07:00",
        "-07:00",
        "2022-07-12",
    )
    assert readings(record) == {
        "heart_rate_variability_rmssd@sleep": 117,
        "heart_rate_min@sleep": 48,
        "resting_heart_rate": 48,
        "respiratory_rate@sleep": 12.625,
        "sleep_deep": 4170,
        "sleep_light": 18750,
        "sleep_rem": 2280,
        "sleep_awake": 4800,
        "time_in_bed": 30000,
        "sleep_latency": 540,
        "sleep_efficiency": 84,
        "sleep_restless_periods": 415,
    }
    assert record.attributes == {
        "type": "long_sleep",
        "period": 0,
        "low_battery_alert": False,
    }


def test_absurd_values_of_the_official_sleep_are_missing_and_named() -> None:
    record = official("sleep")

    # An average of 4.25 beats a minute, and negative HRV.
    assert problems(record) == ["average_heart_rate", "hrv.items"]
    assert record.series == (
        Series(
            metric=Metric.HEART_RATE,
            start=datetime.fromisoformat("2022-07-12T01:05:14-07:00"),
            values=(None, 50.0, 46.0),
            interval_s=300.0,
            context="sleep",
        ),
    )


def test_the_official_sleep_is_a_night_of_its_day() -> None:
    # No total is given; the stages make seven hours.
    assert official("sleep").night == NightSignals(
        series_id="RMSSD:oura:ring",
        kind="RMSSD",
        night=date(2022, 7, 12),
        value_ms=117.0,
        rhr_bpm=48.0,
        rr_brpm=12.625,
        temp_c=None,
    )


@pytest.mark.parametrize(
    ("page", "expected", "night"),
    [
        (
            1,
            {
                "heart_rate_variability_rmssd@sleep": 42,
                "heart_rate_average@sleep": 54.0,
                "heart_rate_min@sleep": 47,
                "resting_heart_rate": 47,
                "respiratory_rate@sleep": 14.2,
                "sleep_duration": 27000,
                "sleep_deep": 5400,
                "sleep_light": 15300,
                "sleep_rem": 6300,
                "sleep_awake": 1200,
                "time_in_bed": 28200,
                "sleep_latency": 600,
                "sleep_efficiency": 91,
                "sleep_restless_periods": 3,
            },
            (date(2026, 8, 10), 42.0, 47.0, 14.2),
        ),
        (
            2,
            {
                "heart_rate_variability_rmssd@sleep": 36,
                "heart_rate_average@sleep": 58.5,
                "heart_rate_min@sleep": 51,
                "resting_heart_rate": 51,
                "respiratory_rate@sleep": 15.0,
                "sleep_duration": 24300,
                "sleep_deep": 4500,
                "sleep_light": 14700,
                "sleep_rem": 5100,
                "sleep_awake": 1800,
                "time_in_bed": 26100,
                "sleep_latency": 900,
                "sleep_efficiency": 87,
                "sleep_restless_periods": 6,
            },
            (date(2026, 8, 11), 36.0, 51.0, 15.0),
        ),
    ],
)
def test_community_sleeps(
    page: int, expected: dict[str, float], night: tuple[date, float, float, float]
) -> None:
    (row,) = load(f"community_api_sleep_page{page}_mcp.json")
    record = read("sleep", row)

    assert readings(record) == expected
    assert problems(record) == []
    assert record.night is not None
    signals = record.night
    assert (signals.night, signals.value_ms, signals.rhr_bpm, signals.rr_brpm) == night


def test_a_night_over_midnight_belongs_to_the_day_of_waking() -> None:
    (row,) = load("community_api_sleep_page1_mcp.json")

    assert times(read("sleep", row)) == (
        "2026-08-09T23:14:02-07:00",
        "2026-08-10T07:04:02-07:00",
        "-07:00",
        "2026-08-10",
    )


def test_a_night_of_changing_clocks_keeps_both_offsets() -> None:
    record = official(
        "sleep",
        bedtime_start="2026-03-28T23:30:00+01:00",
        bedtime_end="2026-03-29T07:30:00+02:00",
        day="2026-03-29",
    )

    assert record.start is not None
    assert record.end is not None
    assert record.end - record.start == timedelta(hours=7)
    assert times(record)[2:] == ("+02:00", "2026-03-29")


@pytest.mark.parametrize("day", [None, "2026-02-31", 20260810, "9999-12-31"])
def test_without_a_usable_day_the_end_of_the_sleep_dates_it(day: Any) -> None:
    record = official(
        "sleep",
        bedtime_start="2026-08-09T23:30:00-07:00",
        bedtime_end="2026-08-10T07:30:00-07:00",
        day=day,
    )

    assert record.local_date == date(2026, 8, 10)
    assert record.night is not None
    assert record.night.night == date(2026, 8, 10)
    assert ("day" in problems(record)) is (day is not None)


def test_a_day_that_is_far_from_its_night_is_not_believed() -> None:
    record = official("sleep", day="2021-01-01")

    assert record.local_date == date(2022, 7, 12)
    assert problems(record)[0] == "day"


def test_the_temperature_comes_from_the_readiness_within() -> None:
    readiness = {
        "contributors": {"body_temperature": 98, "resting_heart_rate": 94},
        "score": 81,
        "temperature_deviation": -0.2,
        "temperature_trend_deviation": 23.29,
    }
    record = official("sleep", readiness=readiness)

    said = readings(record)
    assert said["skin_temperature_deviation"] == -0.2
    assert said["readiness_score"] == 81
    assert "skin_temperature_trend_deviation" not in said
    assert "readiness.temperature_trend_deviation" in problems(record)
    assert record.night is not None
    assert record.night.temp_c == -0.2


@pytest.mark.parametrize("kind", ["sleep", "late_nap", None, "siesta"])
def test_other_sleeps_give_readings_and_no_night(kind: str | None) -> None:
    record = official("sleep", type=kind)

    assert record.night is None
    assert readings(record)["heart_rate_min@sleep"] == 48
    assert "resting_heart_rate" not in readings(record)


def test_a_rest_says_nothing_about_sleep() -> None:
    record = official("sleep", type="rest")

    assert record.action == "updated"
    assert (record.readings, record.series, record.night) == ((), (), None)
    assert record.attributes["type"] == "rest"


def test_a_sleep_of_type_deleted_is_a_deletion() -> None:
    record = official("sleep", type="deleted")

    assert record.action == "deleted"
    assert (record.readings, record.series, record.night) == ((), (), None)


NOTHING = (None, None, None)
EVERYTHING = (117.0, 48.0, 12.625)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"total_sleep_duration": 10_799}, NOTHING),
        ({"total_sleep_duration": 10_800}, EVERYTHING),
        ({"light_sleep_duration": 4_000}, NOTHING),
        # Without all stages the time between the bedtimes counts.
        ({"light_sleep_duration": None}, EVERYTHING),
        (
            {
                "light_sleep_duration": None,
                "bedtime_end": "2022-07-12T03:05:14-07:00",
            },
            NOTHING,
        ),
        # Without any duration the vendor's word `long_sleep` stands.
        ({"light_sleep_duration": None, "bedtime_end": None}, EVERYTHING),
    ],
)
def test_a_short_night_has_no_values(
    changes: dict[str, Any], expected: tuple[float | None, ...]
) -> None:
    night = official("sleep", **changes).night

    assert night is not None
    assert night.night == date(2022, 7, 12)
    signals = (night.value_ms, night.rhr_bpm, night.rr_brpm)
    assert signals == expected


@pytest.mark.parametrize("value", [0, -3, 2.9, 301, "42", True, [42], {"ms": 42}])
def test_an_implausible_hrv_is_missing_in_reading_and_night(value: object) -> None:
    record = official("sleep", average_hrv=value)

    assert "heart_rate_variability_rmssd@sleep" not in readings(record)
    assert "average_hrv" in problems(record)
    assert record.night is not None
    assert record.night.value_ms is None
    assert record.night.rhr_bpm == 48.0


def test_breathing_too_fast_for_sleep_is_missing_in_the_night() -> None:
    night = official("sleep", average_breath=41).night

    assert night is not None
    assert night.rr_brpm is None

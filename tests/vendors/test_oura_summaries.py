"""What Oura's daily summaries and events mean, told by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from biometrics.catalogue import Metric
from biometrics.vendors.records import Record, Series
from tests.vendors.oura_documents import community, official
from tests.vendors.said import problems, readings, times


def _brief(record: Record) -> tuple[str, str | None, dict[str, float]]:
    day = record.local_date.isoformat() if record.local_date else None
    return record.record_type, day, readings(record)


def test_daily_sleep() -> None:
    record = official("daily_sleep")

    assert _brief(record) == ("daily_sleep", "2022-07-14", {"sleep_score": 63})
    assert record.attributes == {
        "score_deep_sleep": 57,
        "score_efficiency": 98,
        "score_latency": 81,
        "score_rem_sleep": 20,
        "score_restfulness": 54,
        "score_timing": 84,
        "score_total_sleep": 60,
    }
    assert [_brief(r)[1:] for r in community("daily_sleep")] == [
        ("2026-08-10", {"sleep_score": 85}),
        ("2026-08-11", {"sleep_score": 68}),
    ]


def test_daily_readiness_contributors_are_scores_and_no_measurements() -> None:
    record = official("daily_readiness")

    assert _brief(record) == (
        "daily_readiness",
        "2021-10-27",
        {
            "readiness_score": 66,
            "skin_temperature_deviation": -0.2,
            "skin_temperature_trend_deviation": 0.1,
        },
    )
    assert record.attributes == {
        "score_activity_balance": 56,
        "score_body_temperature": 98,
        "score_hrv_balance": 75,
        "score_previous_night": 35,
        "score_recovery_index": 47,
        "score_resting_heart_rate": 94,
        "score_sleep_balance": 73,
    }
    assert problems(record) == []
    assert [_brief(r)[2] for r in community("daily_readiness")] == [
        {
            "readiness_score": 79,
            "skin_temperature_deviation": -0.1,
            "skin_temperature_trend_deviation": 0.0,
        },
        {
            "readiness_score": 61,
            "skin_temperature_deviation": 0.6,
            "skin_temperature_trend_deviation": 0.3,
        },
    ]


def test_a_temperature_trend_off_the_scale_is_missing() -> None:
    record = official("daily_readiness", temperature_trend_deviation=23.29)

    assert "skin_temperature_trend_deviation" not in readings(record)
    assert problems(record) == ["temperature_trend_deviation"]


def test_daily_activity_runs_from_four_to_four() -> None:
    record = official("daily_activity")

    assert times(record) == (
        "2021-11-26T04:00:00-08:00",
        "2021-11-27T04:00:00-08:00",
        "-08:00",
        "2021-11-26",
    )
    assert readings(record) == {
        "activity_score": 82,
        "steps": 18430,
        "distance@equivalent_walking": 20122,
        "active_energy": 1222,
        "total_energy": 3446,
        "high_activity_duration": 3000,
        "medium_activity_duration": 6060,
        "low_activity_duration": 10020,
        "sedentary_duration": 21000,
        "resting_duration": 18840,
        "non_wear_duration": 27480,
        "met_average": 1.90625,
        "met_minutes@high_activity": 444,
        "met_minutes@medium_activity": 391,
        "met_minutes@low_activity": 117,
        "met_minutes@sedentary": 10,
    }
    assert record.series == (
        Series(
            metric=Metric.MET,
            start=datetime.fromisoformat("2021-11-26T04:00:00-08:00"),
            values=(0.1,),
            interval_s=60.0,
        ),
    )
    assert record.attributes == {
        "score_meet_daily_targets": 43,
        "score_move_every_hour": 100,
        "score_recovery_time": 100,
        "score_stay_active": 98,
        "score_training_frequency": 71,
        "score_training_volume": 98,
        "inactivity_alerts": 0,
    }


def test_community_activities() -> None:
    first, second = community("daily_activity")

    assert readings(first)["steps"] == 8342
    assert readings(first)["non_wear_duration"] == 0
    assert first.series[0].values == (1.1, 1.4, 2.0)
    assert first.series[0].interval_s == 300.0
    assert readings(second)["active_energy"] == 260
    assert readings(second)["high_activity_duration"] == 180
    assert second.series[0].values == (0.9, 1.1, 1.6)
    assert problems(first) == problems(second) == []


def test_daily_spo2_of_zero_is_no_saturation() -> None:
    record = official("daily_spo2")

    assert _brief(record) == ("daily_spo2", "2019-08-24", {})
    assert problems(record) == ["spo2_percentage.average"]
    assert [_brief(r)[2] for r in community("daily_spo2")] == [
        {"oxygen_saturation@sleep": 97.2, "breathing_disturbance_index@sleep": 3},
        {"oxygen_saturation@sleep": 95.8, "breathing_disturbance_index@sleep": 9},
    ]


def test_daily_stress() -> None:
    record = official("daily_stress")

    # Zero seconds of stress are a measurement.
    assert _brief(record) == (
        "daily_stress",
        "2019-08-24",
        {"stress_duration": 0, "stress_recovery_duration": 0},
    )
    assert record.attributes == {"day_summary": "restored"}
    assert [(_brief(r)[2], r.attributes) for r in community("daily_stress")] == [
        (
            {"stress_duration": 5400, "stress_recovery_duration": 9600},
            {"day_summary": "normal"},
        ),
        (
            {"stress_duration": 12600, "stress_recovery_duration": 3600},
            {"day_summary": "stressful"},
        ),
    ]


@pytest.mark.parametrize(
    ("data_type", "expected", "attributes"),
    [
        (
            "daily_cardiovascular_age",
            (
                "daily_cardiovascular_age",
                "2021-10-27",
                {"vascular_age": 32, "pulse_wave_velocity": 7.2},
            ),
            {},
        ),
        ("vo2_max", ("vo2_max", "2021-10-27", {"vo2_max": 48}), {}),
        (
            "daily_resilience",
            ("daily_resilience", "2021-10-27", {}),
            {
                "level": "solid",
                "score_sleep_recovery": 64.2,
                "score_daytime_recovery": 56.8,
                "score_stress": 40.1,
            },
        ),
        (
            "sleep_time",
            ("sleep_time", "2019-08-24", {}),
            {
                "recommendation": "improve_efficiency",
                "status": "not_enough_nights",
                "optimal_bedtime_start_s": 0,
                "optimal_bedtime_end_s": 0,
                "optimal_bedtime_zone_s": 0,
            },
        ),
        ("tag", ("tag", "2021-01-01", {}), {"tags": "tag_generic_nocaffeine"}),
        (
            "enhanced_tag",
            ("enhanced_tag", "2019-08-24", {}),
            {"tag_type_code": "string"},
        ),
        ("rest_mode_period", ("rest_mode_period", "2019-08-24", {}), {}),
        (
            "ring_configuration",
            ("ring_configuration", "2019-08-24", {}),
            {
                "color": "glossy_black",
                "design": "heritage",
                "firmware_version": "string",
                "hardware_type": "gen1",
                "size": 0,
            },
        ),
        ("session", ("session", "2021-11-12", {}), {"type": "rest"}),
    ],
)
def test_summaries_and_events(
    data_type: str, expected: tuple[Any, ...], attributes: dict[str, Any]
) -> None:
    record = official(data_type)

    assert _brief(record) == expected
    assert record.attributes == attributes
    assert problems(record) == []


def test_what_a_person_wrote_stays_with_the_vendor() -> None:
    records = [*community("enhanced_tag"), official("tag"), *community("workout")]

    said = str(records)
    for words in ("cold", "wine", "Alcohol", "coffee", "Upper body"):
        assert words not in said


def test_a_tag_without_an_offset_keeps_its_wall_time() -> None:
    first, second = community("enhanced_tag")

    assert times(first) == (
        "2026-08-10T08:00:00+00:00",
        "2026-08-11T20:00:00+00:00",
        None,
        "2026-08-10",
    )
    assert times(second) == ("2026-08-11T19:30:00+00:00", None, None, "2026-08-11")


def test_community_workouts_and_sessions() -> None:
    cycling, strength = community("workout")
    assert readings(cycling) == {
        "total_energy@workout": 480,
        "distance@workout": 18500,
    }
    assert readings(strength) == {"total_energy@workout": 220}
    assert times(cycling) == (
        "2026-08-10T17:02:00-07:00",
        "2026-08-10T18:11:00-07:00",
        "-07:00",
        "2026-08-10",
    )

    meditation, breathing = community("session")
    assert meditation.attributes == {"type": "meditation", "mood": "good"}
    assert breathing.attributes == {"type": "breathing", "mood": "same"}
    assert meditation.series == breathing.series == ()


def test_samples_of_a_session() -> None:
    start = "2021-11-12T12:32:09.000-08:00"
    record = official(
        "session",
        heart_rate={"interval": 5, "items": [61, 60], "timestamp": start},
        heart_rate_variability={"interval": 5, "items": [44], "timestamp": start},
    )

    rate, variability = record.series
    assert (rate.metric, rate.values, rate.context) == (
        Metric.HEART_RATE,
        (61.0, 60.0),
        "session",
    )
    assert (variability.metric, variability.values) == (Metric.HRV_RMSSD, (44.0,))
    assert record.night is None

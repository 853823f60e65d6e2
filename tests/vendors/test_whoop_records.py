"""What each WHOOP document means, told by hand from the vendor's descriptions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from biometrics.vendors.whoop.lists import records_from_documents
from tests.vendors.deliveries import NOW
from tests.vendors.said import problems, readings, times
from tests.vendors.whoop_bodies import SLEEP_ID, load, recovery, sleep
from tests.vendors.whoop_documents import notified, read

UPDATED = datetime(2022, 4, 24, 14, 25, 44, 774_000, tzinfo=UTC)
NIGHT_TIMES = (
    "2022-04-23T21:25:44.774000-05:00",
    "2022-04-24T05:25:44.774000-05:00",
    "-05:00",
)
SLEEP_READINGS = {
    "time_in_bed": 30272.735,
    "sleep_awake": 1403.507,
    "sleep_light": 14905.851,
    "sleep_deep": 6630.37,
    "sleep_rem": 5879.573,
    "sleep_duration": 27415.794,
    "sleep_cycles": 3,
    "sleep_disturbances": 12,
    "sleep_need@baseline": 27395.716,
    "sleep_need@sleep_debt": 352.23,
    "sleep_need@recent_strain": 208.595,
    "sleep_need@recent_nap_credit": 12.312,
    "respiratory_rate@sleep": 16.11328125,
    "sleep_score": 98,
    "sleep_consistency": 90,
    "sleep_efficiency": 91.69533848,
}
WORKOUT_READINGS = {
    "strain_score@workout": 8.2463,
    "heart_rate_average@workout": 123,
    "heart_rate_max@workout": 146,
    # 1569.34 kJ
    "total_energy@workout": 375.081342,
    "percent_recorded@workout": 100,
    "distance@workout": 1772.77035916,
    "altitude_gain@workout": 46.643844604,
    "altitude_change@workout": -0.781372011,
    "duration@heart_rate_zone_0": 300,
    "duration@heart_rate_zone_1": 600,
    "duration@heart_rate_zone_2": 900,
    "duration@heart_rate_zone_3": 900,
    "duration@heart_rate_zone_4": 600,
    "duration@heart_rate_zone_5": 300,
}


@pytest.mark.parametrize("name", ["api_sleep_by_id.json", "api_sleep_for_cycle.json"])
def test_the_official_sleep(name: str) -> None:
    record = notified("sleep.updated", load(name) | {"id": SLEEP_ID})

    assert (record.record_type, record.record_id) == ("sleep", SLEEP_ID)
    assert (record.action, record.stamp) == ("updated", UPDATED)
    assert times(record) == (*NIGHT_TIMES, "2022-04-24")
    assert readings(record) == pytest.approx(SLEEP_READINGS, rel=1e-9)
    assert record.attributes == {"score_state": "SCORED", "nap": False}
    assert problems(record) == []
    # The night of the HRV engine comes with the recovery, which holds the HRV.
    assert record.night is None


def test_the_official_workout() -> None:
    record = notified(
        "workout.updated", load("api_workout_by_id.json") | {"id": SLEEP_ID}
    )

    # It began before midnight on the person's wall.
    assert times(record) == (*NIGHT_TIMES, "2022-04-23")
    assert readings(record) == pytest.approx(WORKOUT_READINGS, rel=1e-8)
    assert record.attributes == {"score_state": "SCORED", "sport_name": "running"}
    assert record.stamp == UPDATED


def test_the_official_recovery() -> None:
    record = notified("recovery.updated", sleep(), recovery())

    assert (record.record_type, record.record_id) == ("recovery", SLEEP_ID)
    assert record.stamp == UPDATED
    assert times(record) == (*NIGHT_TIMES, "2022-04-24")
    assert readings(record) == {
        "recovery_score": 44,
        "resting_heart_rate": 64,
        # Milliseconds as they are.
        "heart_rate_variability_rmssd@sleep": 31.813562,
        "oxygen_saturation@sleep": 95.6875,
        "skin_temperature@sleep": 33.7,
    }
    assert record.attributes == {"score_state": "SCORED", "user_calibrating": False}
    assert problems(record) == []


def test_the_official_cycle_and_an_open_one() -> None:
    record = read("cycle", load("api_cycle_by_id.json"))

    assert (record.record_type, record.record_id) == ("cycle", "93845")
    assert times(record) == (*NIGHT_TIMES, "2022-04-23")
    assert readings(record) == pytest.approx(
        {
            "strain_score": 5.2951527,
            "total_energy": 1980.95052581,
            "heart_rate_average": 68,
            "heart_rate_max": 141,
        },
        rel=1e-9,
    )
    still_open = load("api_cycle_by_id.json")
    del still_open["end"]
    assert times(read("cycle", still_open)) == (
        NIGHT_TIMES[0],
        None,
        "-05:00",
        "2022-04-23",
    )


def test_body_measurements() -> None:
    record = read("body_measurement", load("api_body_measurement.json"))

    assert (record.record_type, record.record_id) == ("body", "body_measurement")
    assert readings(record) == {
        "height": 1.8288,
        "weight": 90.7185,
        "heart_rate_max@estimate": 200,
    }
    assert record.stamp == NOW
    assert problems(record) == []


def test_a_profile_lets_nothing_out() -> None:
    record = read("profile", load("api_profile_basic.json"))

    assert (record.record_type, record.record_id) == ("profile", "profile")
    assert (record.readings, record.attributes) == ((), {})
    for value in load("api_profile_basic.json").values():
        assert str(value) not in str(record)


@pytest.mark.parametrize("state", ["PENDING_SCORE", "UNSCORABLE"])
@pytest.mark.parametrize("data_type", ["sleep", "workout"])
def test_what_is_not_scored_is_kept_without_numbers(data_type: str, state: str) -> None:
    name = f"derived_api_{data_type}_by_id_{state.lower()}.json"
    for score in ({}, {"score": None}, {"score": {"strain": 4.0}}):
        document = load(name) | {"id": SLEEP_ID} | score
        record = notified(f"{data_type}.updated", document)

        assert record.readings == ()
        assert record.attributes["score_state"] == state
        assert record.start is not None
        assert problems(record) == []


@pytest.mark.parametrize("state", [None, "scored", 1, [], {"a": 1}])
def test_an_unknown_score_state_is_not_taken_for_scored(state: object) -> None:
    record = read("sleep", sleep(score_state=state))

    assert record.readings == ()
    assert "score_state" in problems(record)


@pytest.mark.parametrize("score", [None, [], "98", 5])
def test_a_scored_document_without_its_score_is_reported(score: object) -> None:
    record = read("workout", load("api_workout_by_id.json") | {"score": score})

    assert record.readings == ()
    assert problems(record) == ["score"]


def test_a_total_of_more_than_a_day_is_no_total() -> None:
    slept = sleep()
    for stage in ("light_sleep", "slow_wave_sleep", "rem_sleep"):
        slept["score"]["stage_summary"][f"total_{stage}_time_milli"] = 30_000_000

    assert "sleep_duration" not in readings(read("sleep", slept))


def test_naps_are_marked_so_that_nobody_takes_them_for_the_night() -> None:
    said = readings(read("sleep", sleep(nap=True)))

    assert said == readings(read("sleep", sleep(nap=None)))
    assert said["sleep_score@nap"] == 98
    assert said["respiratory_rate@nap"] == 16.11328125
    assert said["sleep_need@nap_baseline"] == 27395.716
    assert all("@nap" in name for name in said)


def test_without_a_stage_there_is_no_total() -> None:
    slept = sleep()
    slept["score"]["stage_summary"]["total_rem_sleep_time_milli"] = -1
    record = read("sleep", slept)

    assert "sleep_duration" not in readings(record)
    assert problems(record) == ["score.stage_summary.total_rem_sleep_time_milli"]


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [("sleep", SLEEP_READINGS), ("workout", WORKOUT_READINGS)],
)
def test_lists_mean_what_webhooks_bring(
    data_type: str, expected: dict[str, float]
) -> None:
    (record,) = records_from_documents(
        data_type=data_type,
        documents=load(f"api_{data_type}_collection.json")["records"],
        stamp=NOW,
        action="created",
    )

    assert (record.action, record.stamp) == ("created", UPDATED)
    assert record.record_id == "ecfc6a15-4661-442f-a9a4-f160dd7afae8"
    assert readings(record) == pytest.approx(expected, rel=1e-8)

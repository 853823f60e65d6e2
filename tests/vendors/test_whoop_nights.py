"""What WHOOP's recoveries say to the HRV engine."""

from __future__ import annotations

from datetime import date

import pytest

from biometrics.vendors.records import Record
from biometrics.vendors.whoop.lists import records_from_documents
from tests.vendors.deliveries import NOW
from tests.vendors.said import problems, readings, times
from tests.vendors.whoop_bodies import SLEEP_ID, load, recovery, sleep
from tests.vendors.whoop_documents import notified, read

NOTHING = (None, None, None, None)


def _signals(record: Record) -> tuple[float | None, ...]:
    night = record.night
    assert night is not None
    assert (night.series_id, night.kind) == ("RMSSD:whoop:strap", "RMSSD")
    return night.value_ms, night.rhr_bpm, night.rr_brpm, night.temp_c


def test_the_night_is_the_local_date_of_waking() -> None:
    record = notified("recovery.updated", sleep(timezone_offset="+14:00"), recovery())

    assert record.night is not None
    # 10:25 UTC is already the next day's small hours there.
    assert record.night.night == date(2022, 4, 25)
    assert _signals(record) == (31.813562, 64.0, 16.11328125, 33.7)


@pytest.mark.parametrize("calibrating", [True, None, "no"])
def test_while_whoop_calibrates_the_night_is_missing(calibrating: object) -> None:
    scores = recovery()["score"] | {"user_calibrating": calibrating}
    record = notified("recovery.updated", sleep(), recovery(score=scores))

    assert _signals(record) == NOTHING
    assert readings(record)["heart_rate_variability_rmssd@sleep"] == 31.813562


@pytest.mark.parametrize("nap", [True, None, "no"])
def test_a_nap_is_no_night(nap: object) -> None:
    assert notified("recovery.updated", sleep(nap=nap), recovery()).night is None


def test_a_short_night_has_no_values() -> None:
    short = sleep()
    # Deep sleep is 6,630.37 s; three hours are 10,800 s.
    short["score"]["stage_summary"]["total_light_sleep_time_milli"] = 0
    short["score"]["stage_summary"]["total_rem_sleep_time_milli"] = 4_169_629
    assert _signals(notified("recovery.updated", short, recovery())) == NOTHING

    short["score"]["stage_summary"]["total_rem_sleep_time_milli"] = 4_169_630
    assert _signals(notified("recovery.updated", short, recovery()))[0] == 31.813562


def test_an_unscored_sleep_is_measured_by_its_length() -> None:
    pending = "derived_api_sleep_by_id_pending_score.json"
    slept = load(pending) | {"id": SLEEP_ID}
    assert _signals(notified("recovery.updated", slept, recovery())) == (
        31.813562,
        64.0,
        None,
        33.7,
    )

    slept["end"] = "2022-04-24T05:25:44.773Z"
    assert _signals(notified("recovery.updated", slept, recovery())) == NOTHING


def test_breathing_too_fast_for_sleep_is_missing_in_the_night() -> None:
    fast = sleep()
    fast["score"]["respiratory_rate"] = 41
    assert _signals(notified("recovery.updated", fast, recovery()))[2] is None


@pytest.mark.parametrize("state", ["PENDING_SCORE", "UNSCORABLE"])
def test_a_recovery_that_is_not_scored_makes_its_night_missing(state: str) -> None:
    name = f"derived_api_recovery_for_cycle_{state.lower()}.json"
    record = notified("recovery.updated", sleep(), recovery(name))

    assert record.readings == ()
    assert record.attributes == {"score_state": state}
    assert record.night is not None
    assert record.night.night == date(2022, 4, 24)
    assert _signals(record) == (None, None, None, None)


def test_a_recovery_among_listed_sleeps_finds_its_own() -> None:
    rows = load("api_recovery_collection.json")["records"]
    slept = load("api_sleep_collection.json")["records"]
    own = slept[0] | {"id": rows[0]["sleep_id"]}
    (record,) = records_from_documents(
        data_type="recovery",
        documents=rows,
        stamp=NOW,
        action="created",
        related=[None, "text", slept[0] | {"nap": True}, own],
    )

    assert record.record_id == "123e4567-e89b-12d3-a456-426614174000"
    assert record.local_date == date(2022, 4, 24)
    assert _signals(record) == (31.813562, 64.0, 16.11328125, 33.7)


def test_a_recovery_without_its_sleep_has_no_times_and_no_night() -> None:
    (row,) = load("api_recovery_collection.json")["records"]
    record = read("recovery", row)

    assert times(record) == (None, None, None, None)
    assert record.night is None
    assert problems(record) == ["sleep_id"]
    assert readings(record)["recovery_score"] == 44

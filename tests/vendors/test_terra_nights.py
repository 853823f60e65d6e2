"""Terra's sleeps as the HRV engine sees them."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta

import pytest

from biometrics.catalogue import Metric
from biometrics.vendors.records import NightSignals
from tests.vendors.terra_bodies import (
    SAMPLE,
    night,
    only,
    rmssd,
    sleep,
    understand,
)


def test_a_night_of_20_ms_is_a_night_of_20_ms() -> None:
    assert night(SAMPLE) == NightSignals(
        series_id="RMSSD:terra:garmin",
        kind="RMSSD",
        night=date(2026, 8, 12),
        value_ms=20,
        rhr_bpm=58,
        rr_brpm=15.4,
        temp_c=0.3,
    )


def test_the_providers_night_value_comes_before_the_samples() -> None:
    said = night(sleep(heart_rate_data__detailed__hrv_samples_rmssd=rmssd(80, 81, 82)))
    assert said is not None
    assert said.value_ms == 20


def test_without_a_night_value_the_median_of_three_samples_speaks() -> None:
    summary = {"resting_hr_bpm": 58}
    for values, expected in [((30, 50, 41), 41), ((30, 50, 41, 44), 42.5)]:
        said = night(
            sleep(
                heart_rate_data__summary=summary,
                heart_rate_data__detailed__hrv_samples_rmssd=rmssd(*values),
            )
        )
        assert said is not None
        assert said.value_ms == expected
    two = sleep(
        heart_rate_data__summary=summary,
        heart_rate_data__detailed__hrv_samples_rmssd=rmssd(30, 50),
    )
    assert night(two) is None


def test_samples_outside_the_sleep_do_not_count_for_the_night() -> None:
    samples = [
        *rmssd(30, 50),
        {"timestamp": "2026-08-12T06:52:01+02:00", "hrv_rmssd": 40},
        {"timestamp": "2026-08-11T23:03:59+02:00", "hrv_rmssd": 40},
    ]
    body = sleep(
        heart_rate_data__summary={},
        heart_rate_data__detailed__hrv_samples_rmssd=samples,
    )
    assert night(body) is None
    # The ends belong to it.
    samples[-1]["timestamp"] = "2026-08-11T23:04:00+02:00"
    said = night(body)
    assert said is not None
    assert said.value_ms == 40


@pytest.mark.parametrize("value", [0, -5, 0.042, 2.9, 301, None, True, "20"])
def test_an_impossible_night_value_never_becomes_one(value: object) -> None:
    body = sleep(
        heart_rate_data__summary__avg_hrv_rmssd=value, heart_rate_data__detailed={}
    )
    record = only(body)
    assert record.night is None
    assert Metric.HRV_RMSSD not in {r.metric for r in record.readings}


def test_sdnn_is_another_series_and_only_speaks_without_rmssd() -> None:
    both = sleep(heart_rate_data__summary__avg_hrv_sdnn=45)
    alone = sleep(
        heart_rate_data__summary={"avg_hrv_sdnn": 45}, heart_rate_data__detailed={}
    )
    said = night(both)
    assert said is not None
    assert (said.kind, said.value_ms) == ("RMSSD", 20)
    said = night(alone)
    assert said is not None
    assert (said.series_id, said.kind) == ("SDNN:terra:garmin", "SDNN")
    assert said.value_ms == 45


def test_naps_and_short_sleeps_say_nothing_about_the_night() -> None:
    asleep = "sleep_durations_data__asleep__duration_asleep_state_seconds"
    assert night(sleep(metadata__is_nap=True)) is None
    assert night(sleep(**{asleep: 3 * 3600 - 1})) is None
    assert night(sleep(**{asleep: 3 * 3600})) is not None
    # Without a duration the interval decides.
    assert night(sleep(**{asleep: None})) is not None
    short = sleep(**{asleep: None, "metadata__end_time": "2026-08-12T02:00:00+02:00"})
    assert night(short) is None


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2026-08-12T00:20:00.000000+02:00", date(2026, 8, 12)),
        ("2026-08-11T23:59:00.000000-10:00", date(2026, 8, 11)),
        ("2026-08-12T06:52:00.000000", date(2026, 8, 12)),
        ("2026-08-12T06:52:00Z", date(2026, 8, 12)),
    ],
)
def test_the_night_is_the_date_of_waking_as_written(end: str, expected: date) -> None:
    body = sleep(metadata__end_time=end, metadata__start_time=None)
    record = only(body)
    assert record.local_date == expected
    assert record.night is not None
    assert record.night.night == expected


@pytest.mark.parametrize(
    ("localization", "offset"), [(0, "+00:00"), (1, None), (None, None)]
)
def test_a_time_without_offset_is_utc_only_where_terra_says_so(
    localization: int | None, offset: str | None
) -> None:
    record = only(
        sleep(
            metadata__timestamp_localization=localization,
            metadata__start_time="2026-08-11T23:04:00",
            metadata__end_time="2026-08-12T06:52:00",
        )
    )
    assert record.zone_offset == offset
    assert record.start == datetime.fromisoformat("2026-08-11T23:04:00+00:00")
    assert record.local_date == date(2026, 8, 12)


def test_samples_and_record_meet_on_one_wall_when_one_lacks_the_offset() -> None:
    wall = sleep(
        heart_rate_data__summary={},
        metadata__start_time="2026-08-11T23:04:00",
        metadata__end_time="2026-08-12T06:52:00",
        # Inside on the wall clock, outside if they were converted to UTC.
        heart_rate_data__detailed__hrv_samples_rmssd=rmssd(
            30, 31, 32, at="2026-08-11T23:1{}:00+02:00"
        ),
    )
    said = night(wall)
    assert said is not None
    assert said.value_ms == 31
    bare = sleep(
        heart_rate_data__summary={},
        heart_rate_data__detailed__hrv_samples_rmssd=rmssd(
            30, 31, 32, at="2026-08-12T06:4{}:00"
        ),
    )
    said = night(bare)
    assert said is not None
    assert said.value_ms == 31


def test_a_night_in_which_the_clock_changed_keeps_both_offsets() -> None:
    body = sleep(
        metadata__start_time="2026-03-28T23:00:00+01:00",
        metadata__end_time="2026-03-29T07:00:00+02:00",
    )
    record = only(body)
    assert record.start is not None
    assert record.end is not None
    assert record.end - record.start == timedelta(hours=7)
    assert record.zone_offset == "+01:00"
    assert record.night is not None
    assert record.night.night == date(2026, 3, 29)


def test_of_two_sleeps_in_a_night_the_longer_speaks() -> None:
    body = sleep()
    second = copy.deepcopy(body["data"][0])
    second["metadata"]["summary_id"] = "other-device"
    asleep = second["sleep_durations_data"]["asleep"]
    asleep["duration_asleep_state_seconds"] = 27000
    body["data"].append(second)
    nights = {r.record_id: r.night for r in understand(body).records}
    assert nights["other-device"] is not None
    assert [night for night in nights.values() if night] == [nights["other-device"]]

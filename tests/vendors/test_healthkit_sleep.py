"""Sleep from phones: overlapping sources count once, summaries are read."""

from __future__ import annotations

from datetime import date

import pytest

from biometrics.catalogue import Metric
from biometrics.vendors.records import Record
from tests.vendors.deliveries import fixture
from tests.vendors.healthkit_bodies import (
    PHONE,
    Said,
    only,
    readings,
    segment,
    sleeps,
    sync,
    understand,
)

MINUTE = 60
HOUR = 3600


def seconds(one: Record) -> dict[Metric, float]:
    assert all(r.context is None for r in one.readings)
    return {r.metric: r.value for r in one.readings}


SUMMARIES: dict[str, tuple[str, Said]] = {
    # 3.3 h core, 0.8583 h deep, 1.2583 h REM; "asleep" is 0 beside stages.
    "hae_sleep_aggregated_phases_v6_6_2.json": (
        "2023-01-31",
        {
            (Metric.SLEEP_LIGHT, None): 11880,
            (Metric.SLEEP_DEEP, None): 3090,
            (Metric.SLEEP_REM, None): 4530,
            (Metric.SLEEP_DURATION, None): 19500,
            (Metric.SLEEP_AWAKE, None): 420,
            (Metric.TIME_IN_BED, None): 29322.039,
        },
    ),
    # 6.108333 h asleep, 6.8097 h in bed.
    "hae_v1_sleep_aggregated_legacy.json": (
        "2021-12-18",
        {
            (Metric.SLEEP_DURATION, None): 21990,
            (Metric.TIME_IN_BED, None): 24515.024,
        },
    ),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_summary_gives_exactly_these_seconds(name: str) -> None:
    night, said = SUMMARIES[name]
    one = only(fixture("healthkit", name))
    assert readings(one) == pytest.approx(said, abs=0.001)
    assert one.record_id == night
    assert one.local_date == date.fromisoformat(night)
    assert one.zone_offset == "+08:00"
    assert one.attributes["sleep_type"] == "main"


def test_a_summary_spans_bed_and_sleep() -> None:
    one = only(fixture("healthkit", "hae_v1_sleep_aggregated_legacy.json"))
    assert one.start is not None
    assert one.end is not None
    assert one.start.isoformat() == "2021-12-18T02:12:50+08:00"
    assert one.end.isoformat() == "2021-12-18T09:04:45+08:00"


def test_a_week_of_overlapping_segments_counts_every_minute_once() -> None:
    body = fixture("healthkit", "openwearables_sync_generated_week.json")
    nights = {one.local_date: seconds(one) for one in sleeps(body)}
    assert set(nights) == {date(2026, 1, day) for day in (2, 4, 5, 6)}
    # Two generated nights on top of each other: 22:28 to 04:43 without a gap.
    assert nights[date(2026, 1, 2)][Metric.SLEEP_DURATION] == 375 * MINUTE
    assert nights[date(2026, 1, 2)][Metric.TIME_IN_BED] == 396 * MINUTE
    # One alone, added up by hand.
    assert nights[date(2026, 1, 5)] == {
        Metric.SLEEP_LIGHT: 247 * MINUTE,
        Metric.SLEEP_DEEP: 97 * MINUTE,
        Metric.SLEEP_REM: 93 * MINUTE,
        Metric.SLEEP_DURATION: 437 * MINUTE,
        Metric.TIME_IN_BED: 443 * MINUTE,
    }
    for night in nights.values():
        stages = (Metric.SLEEP_LIGHT, Metric.SLEEP_DEEP, Metric.SLEEP_REM)
        assert sum(night[stage] for stage in stages) == night[Metric.SLEEP_DURATION]


def test_four_seconds_in_bed_are_no_night() -> None:
    name = "openwearables_sync_sample_sdk_payload.json"
    (one,) = sleeps(fixture("healthkit", name))
    assert readings(one) == {(Metric.TIME_IN_BED, None): 4}
    assert one.attributes["sleep_type"] == "nap"
    assert one.night is None


def test_a_score_and_the_offset_of_a_samsung_night_are_kept() -> None:
    name = "openwearables_sync_schema_example_samsung.json"
    (one,) = sleeps(fixture("healthkit", name))
    assert seconds(one) == {
        Metric.SLEEP_LIGHT: 50 * MINUTE,
        Metric.SLEEP_DURATION: 50 * MINUTE,
        Metric.SLEEP_SCORE: 82,
    }
    # 23:10Z to 00:00Z on a wall one hour ahead.
    assert one.local_date == date(2026, 2, 24)
    assert one.start is not None
    assert one.start.isoformat() == "2026-02-24T00:10:00+01:00"


def test_watch_phone_and_a_third_app_tell_one_night() -> None:
    other = {"name": "Some App"}
    body = sync(
        sleep=[
            segment("in_bed", "22:00", "06:00", source=PHONE),
            segment("sleeping", "22:30", "05:30", source=other),
            segment("core", "22:30", "00:30"),
            segment("deep", "00:30", "01:30"),
            segment("awake", "01:30", "01:40"),
            segment("rem", "01:40", "03:00"),
        ]
    )
    (one,) = sleeps(body)
    assert seconds(one) == {
        Metric.SLEEP_LIGHT: 2 * HOUR,
        Metric.SLEEP_DEEP: HOUR,
        Metric.SLEEP_REM: 80 * MINUTE,
        # The third app calls the ten minutes awake asleep: the union of sleep stands.
        Metric.SLEEP_DURATION: 7 * HOUR,
        Metric.SLEEP_AWAKE: 0,
        Metric.TIME_IN_BED: 8 * HOUR,
    }
    assert one.attributes["device"] == "watch"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("light", Metric.SLEEP_LIGHT),
        ("core", Metric.SLEEP_LIGHT),
        ("asleepCore", Metric.SLEEP_LIGHT),
        ("Core", Metric.SLEEP_LIGHT),
        ("deep", Metric.SLEEP_DEEP),
        ("asleepDeep", Metric.SLEEP_DEEP),
        ("rem", Metric.SLEEP_REM),
        ("asleepREM", Metric.SLEEP_REM),
        ("awake", Metric.SLEEP_AWAKE),
        ("in_bed", Metric.TIME_IN_BED),
        ("inBed", Metric.TIME_IN_BED),
        ("In Bed", Metric.TIME_IN_BED),
        ("sleeping", Metric.SLEEP_DURATION),
        ("asleepUnspecified", Metric.SLEEP_DURATION),
    ],
)
def test_stages_in_every_spelling(name: str, known: Metric) -> None:
    (one,) = sleeps(sync(sleep=[segment(name, "22:00", "23:00")]))
    assert seconds(one)[known] == HOUR


def test_a_nap_is_another_sleep_of_the_same_day() -> None:
    body = sync(
        sleep=[
            segment("core", "22:00", "04:00"),
            segment("core", "12:00", "12:40"),
        ]
    )
    found = {one.attributes["sleep_type"]: seconds(one) for one in sleeps(body)}
    assert found["main"][Metric.SLEEP_DURATION] == 6 * HOUR
    assert found["nap"][Metric.SLEEP_DURATION] == 40 * MINUTE


def test_getting_up_for_an_hour_does_not_end_the_night() -> None:
    hour = [segment("core", "22:00", "01:00"), segment("core", "02:00", "05:00")]
    more = [segment("core", "22:00", "01:00"), segment("core", "02:01", "05:00")]
    assert len(sleeps(sync(sleep=hour))) == 1
    assert len(sleeps(sync(sleep=more))) == 2


def test_a_re_send_is_the_same_record_in_any_order() -> None:
    night = [segment("core", "22:00", "01:00"), segment("deep", "01:00", "03:00")]
    first = only(sync(sleep=night))
    again = only(sync(sleep=[*reversed(night), *night]))
    assert again == first


def test_segments_that_cannot_be_cost_only_themselves() -> None:
    long = segment("core", "22:00", "23:00") | {"endDate": "2026-08-13T23:00:00Z"}
    said = understand(
        sync(
            sleep=[
                segment("deep", "22:00", "23:00"),
                segment("deep", "23:00", "22:00"),
                segment("dreaming", "22:00", "23:00"),
                long,
                None,
            ]
        )
    )
    (one,) = said.records
    assert readings(one)[Metric.SLEEP_DURATION, None] == HOUR
    assert {p.field for p in said.problems} == {
        "data.sleep.endDate",
        "data.sleep.dreaming",
        "data.sleep.stage",
    }

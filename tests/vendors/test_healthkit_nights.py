"""Nights from phones as the HRV engine sees them."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit.night import HealthKitNights
from biometrics.vendors.records import NightSignals, Record
from tests.vendors.healthkit_bodies import (
    PHONE,
    WATCH,
    export,
    metric,
    only,
    point,
    readings,
    record,
    segment,
    sleeps,
    sync,
    understand,
)

HOUR = 3600


def night_push(
    *samples: dict[str, Any], end: str = "04:00", offset: str | None = "+02:00"
) -> dict[str, Any]:
    """Return a push with a sleep from 22:00 UTC and these samples."""
    asleep = segment("core", "22:00", end, zoneOffset=offset)
    return sync(records=list(samples), sleep=[asleep])


def hrv(
    *numbers: float, kind: str = "SDNN", source: object = WATCH
) -> list[dict[str, Any]]:
    return [
        record(
            f"HeartRateVariability{kind}",
            number,
            unit="ms",
            at=f"2026-08-12T0{hour}:00:00Z",
            source=source,
        )
        for hour, number in enumerate(numbers)
    ]


def night(*bodies: dict[str, Any]) -> NightSignals | None:
    """Return the one night that all records of these pushes make together."""
    records = [one for body in bodies for one in understand(body).records]
    assert all(one.night is None for one in records)
    found = HealthKitNights().nights(records)
    assert len(found) <= 1
    return found[0].signals if found else None


def test_a_main_sleep_with_three_samples_is_a_night() -> None:
    body = night_push(
        *hrv(61.2, 54.8, 57.5),
        record("RespiratoryRate", 14.5, unit="breaths/min"),
        record("RestingHeartRate", 56, at="2026-08-12T04:50:00Z", zoneOffset="+02:00"),
        record("AppleSleepingWristTemperature", 34.1, unit="degC"),
    )
    assert night(body) == NightSignals(
        series_id="SDNN:apple:watch",
        kind="SDNN",
        night=date(2026, 8, 12),
        value_ms=57.5,
        rhr_bpm=56,
        rr_brpm=14.5,
        temp_c=34.1,
    )


def test_two_samples_or_a_short_sleep_are_no_night() -> None:
    assert night(night_push(*hrv(50, 51))) is None
    assert night(night_push(*hrv(50, 51, 52), end="00:59")) is None
    assert night(night_push(*hrv(50, 51, 52, 53))) is not None


def test_samples_outside_the_sleep_do_not_count() -> None:
    outside = record(
        "HeartRateVariabilitySDNN", 90, unit="ms", at="2026-08-12T04:00:01Z"
    )
    assert night(night_push(*hrv(50, 51), outside)) is None


def test_both_ends_belong_to_the_sleep() -> None:
    at = ("2026-08-11T22:00:00Z", "2026-08-12T01:00:00Z", "2026-08-12T04:00:00Z")
    ends = [
        record("HeartRateVariabilitySDNN", number, unit="ms", at=moment)
        for number, moment in zip((50, 51, 52), at, strict=True)
    ]
    said = night(night_push(*ends))
    assert said is not None
    assert said.value_ms == 51


@pytest.mark.parametrize(
    ("at", "found"), [("2026-08-11T20:00:00Z", 34.1), ("2026-08-11T19:59:59Z", None)]
)
def test_the_wrist_may_be_measured_two_hours_before_sleep(
    at: str, found: float | None
) -> None:
    warmth = record("AppleSleepingWristTemperature", 34.1, unit="degC", at=at)
    said = night(night_push(*hrv(50, 51, 52), warmth))
    assert said is not None
    assert said.temp_c == found


def test_rmssd_is_a_series_of_its_own() -> None:
    both = night_push(*hrv(50, 51, 52), *hrv(30, 31, 32, kind="RMSSD"))
    said = night(both)
    assert said is not None
    assert (said.series_id, said.value_ms) == ("RMSSD:apple:watch", 31)
    mixed = night_push(*hrv(50, 51), *hrv(30, 31, kind="RMSSD"))
    assert night(mixed) is None


def test_another_device_than_the_watch_does_not_speak_for_the_night() -> None:
    assert night(night_push(*hrv(50, 51, 52, source=PHONE))) is None
    assert night(night_push(*hrv(50, 51, 52, source=None))) is not None


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+02:00", date(2026, 8, 12)),
        (None, date(2026, 8, 12)),
        # 04:00Z is the evening before on Hawaii.
        ("-10:00", date(2026, 8, 11)),
        ("nonsense", date(2026, 8, 12)),
    ],
)
def test_the_night_is_the_local_date_of_waking(
    offset: str | None, expected: date
) -> None:
    said = night(night_push(*hrv(50, 51, 52), offset=offset))
    assert said is not None
    assert said.night == expected


def test_a_summary_of_health_auto_export_makes_a_night_too() -> None:
    times = ("2026-08-12 00:10:00 +0200", "2026-08-12 02:10:00 +0200")
    last = "2026-08-12 4:10:00\u202fAM +0200"
    body = export(
        metric("heart_rate_variability", "ms", *(point(44, at=at) for at in times)),
        metric("heart_rate_variability", "ms", point(50, at=last)),
        metric(
            "sleep_analysis",
            "hr",
            {
                "date": "2026-08-12",
                "totalSleep": 7.25,
                "asleep": 0,
                "inBed": 0,
                "sleepStart": "2026-08-11 23:00:00 +0200",
                "sleepEnd": "2026-08-12 06:30:00 +0200",
                "source": "Sam's Apple Watch|Sam's iPhone",
            },
        ),
    )
    (one,) = sleeps(body)
    assert readings(one) == {(Metric.SLEEP_DURATION, None): 7.25 * HOUR}
    said = night(body)
    assert said is not None
    assert (said.value_ms, said.night) == (44, date(2026, 8, 12))


def test_a_summary_told_again_with_more_is_the_same_sleep() -> None:
    def told(start: str, hours: float) -> Record:
        item = {
            "date": "2026-08-12",
            "totalSleep": hours,
            "sleepStart": start,
            "sleepEnd": "2026-08-12 06:30:00 +0200",
        }
        return only(export(metric("sleep_analysis", "hr", item)))

    first = told("2026-08-12 00:30:00 +0200", 5.5)
    later = told("2026-08-11 23:00:00 +0200", 7)
    assert first.record_id == later.record_id


def test_a_summary_without_times_keeps_its_date_and_is_no_night() -> None:
    item = {"date": "2026-08-12 06:00:00 +0200", "asleep": 7.2, "deep": 1.1, "rem": 0}
    one = only(export(metric("sleep_analysis", "hr", item)))
    assert one.local_date == date(2026, 8, 12)
    assert (one.start, one.end) == (None, None)
    assert night(export(metric("sleep_analysis", "hr", item))) is None
    assert readings(one) == {
        (Metric.SLEEP_DEEP, None): 3960,
        (Metric.SLEEP_REM, None): 0,
        (Metric.SLEEP_DURATION, None): 25920,
    }


def test_a_sleep_and_its_samples_may_come_apart() -> None:
    samples = hrv(50, 51, 52)
    asleep = sync(sleep=[segment("core", "22:00", "04:00")])
    alone = [sync(records=[one]) for one in samples]
    assert night(asleep) is None
    assert night(*alone) is None
    assert night(asleep, *alone[:2]) is None
    said = night(*alone, asleep)
    assert said is not None
    assert said.value_ms == 51


def test_samples_sent_again_count_once() -> None:
    asleep = segment("core", "22:00", "04:00")
    first, again = hrv(50, 60, 70), hrv(50, 60, 70, 80)
    said = night(
        sync(records=first, sleep=[asleep]), sync(records=again), sync(records=again)
    )
    assert said is not None
    assert said.value_ms == 65


def test_a_sleep_told_in_parts_is_one_sleep() -> None:
    # Until midnight, and from ten past: neither is a night alone.
    parts = [segment("core", "22:00", "00:50"), segment("deep", "01:10", "03:50")]
    pushes = [sync(sleep=[part]) for part in parts]
    samples = sync(records=hrv(50, 51, 52, 53))
    assert night(pushes[0], samples) is None
    assert night(pushes[1], samples) is None
    said = night(samples, *pushes)
    assert said is not None
    assert said.night == date(2026, 8, 12)
    assert said.value_ms == 51.5


def test_hours_that_two_records_tell_count_once() -> None:
    # The same 140 minutes from an earlier start: together no three hours.
    told = [segment("core", "00:00", "02:20"), segment("asleep", "23:50", "02:10")]
    pushes = [sync(sleep=[one]) for one in told]
    samples = sync(records=hrv(50, 51, 52))
    assert night(samples, *pushes) is None
    later = sync(sleep=[segment("core", "02:20", "02:50")])
    assert night(samples, *pushes, later) is not None


def test_hours_that_only_one_of_two_records_tells_count_too() -> None:
    # Each push says the last hour again and one more: none alone is three hours.
    parts = [
        segment("core", f"{hour % 24:02d}:00", f"{(hour + 1) % 24:02d}:00")
        for hour in range(22, 28)
    ]
    pushes = [sync(sleep=list(two)) for two in pairwise(parts)]
    samples = sync(records=hrv(50, 51, 52, 53))
    assert all(night(samples, push) is None for push in pushes)
    said = night(samples, *pushes)
    assert said is not None
    assert said.value_ms == 51.5


def test_phones_of_two_makers_do_not_share_a_night() -> None:
    asleep = segment("core", "22:00", "04:00")
    apple = sync(records=hrv(50, 51), sleep=[asleep])
    samsung = {**sync(records=hrv(50, 51, 52)), "provider": "samsung"}
    assert night(apple, samsung) is None


SAMPLES = [
    *hrv(61, 54, 57, 40),
    *hrv(31, 30, 36, kind="RMSSD"),
    *(
        record(
            "RespiratoryRate", rate, unit="breaths/min", at=f"2026-08-12T0{h}:30:00Z"
        )
        for h, rate in enumerate((14.5, 15, 16))
    ),
    record("RestingHeartRate", 56, at="2026-08-12T04:50:00Z", zoneOffset="+02:00"),
    record("AppleSleepingWristTemperature", 34.1, unit="degC"),
]
PARTS = [
    segment("core", "22:00", "23:30", zoneOffset="+02:00"),
    segment("deep", "23:30", "01:00", zoneOffset="+02:00"),
    segment("rem", "01:20", "04:00", zoneOffset="+02:00"),
]


@given(data=st.data())
def test_a_night_does_not_depend_on_how_it_was_cut_and_sent(
    data: st.DataObject,
) -> None:
    pushes: list[dict[str, Any]] = []
    for items, key in ((SAMPLES, "records"), (PARTS, "sleep")):
        of = data.draw(
            st.lists(st.integers(0, 3), min_size=len(items), max_size=len(items))
        )
        groups = [
            [one for one, number in zip(items, of, strict=True) if number == which]
            for which in range(4)
        ]
        pushes += [sync(**{key: group}) for group in groups if group]
    repeated = data.draw(st.lists(st.sampled_from(pushes), max_size=3))
    order = data.draw(st.permutations([*pushes, *repeated]))
    assert night(*order) == night(sync(records=SAMPLES, sleep=PARTS))

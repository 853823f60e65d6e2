"""Nights from phones as the HRV engine sees them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from biometrics.catalogue import Metric
from biometrics.vendors.base import NightSignals, Record
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


def night(body: dict[str, Any]) -> NightSignals | None:
    (one,) = sleeps(body)
    return one.night


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
    assert one.night is not None
    assert one.night.value_ms == 44
    assert one.night.night == date(2026, 8, 12)


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
    assert (one.start, one.end, one.night) == (None, None, None)
    assert readings(one) == {
        (Metric.SLEEP_DEEP, None): 3960,
        (Metric.SLEEP_REM, None): 0,
        (Metric.SLEEP_DURATION, None): 25920,
    }

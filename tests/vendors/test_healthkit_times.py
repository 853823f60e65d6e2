"""Whose day it is for a phone: nights of changing clocks, and people who travel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from biometrics.catalogue import Metric
from biometrics.publishing.values import record_of, record_value
from biometrics.vendors.healthkit.night import HealthKitNights
from biometrics.vendors.night_pieces import GatheredNight
from biometrics.vendors.records import Record
from tests.vendors.healthkit_bodies import (
    WATCH,
    export,
    metric,
    only,
    point,
    readings,
    record,
    sleeps,
    sync,
    understand,
    values,
)
from tests.vendors.said import times

HOUR = 3600
SLEPT = (Metric.SLEEP_DURATION, None)


def asleep(start: str, end: str, offset: str | None, *, stage: str = "core") -> Any:
    """Return a segment of the SDK, whose times are UTC with an offset beside them."""
    return {
        "id": f"{stage}-{start}",
        "stage": stage,
        "startDate": f"{start}:00Z",
        "endDate": f"{end}:00Z",
        "zoneOffset": offset,
        "source": WATCH,
    }


def hrv(*at: str, offset: str, value: float = 50) -> list[dict[str, Any]]:
    return [
        record(
            "HeartRateVariabilitySDNN",
            value,
            unit="ms",
            at=f"{moment}:00Z",
            zoneOffset=offset,
        )
        for moment in at
    ]


def nights(*bodies: dict[str, Any]) -> Sequence[GatheredNight]:
    """Return the nights that are made of the records as they are kept."""
    pieces: list[Record] = [
        record_of(
            record_value(subject=UUID(int=1), vendor="healthkit", record=one),
            stamp=one.stamp,
        )
        for body in bodies
        for one in understand(body).records
    ]
    return sorted(HealthKitNights().nights(pieces), key=lambda one: one.ended)


def test_the_night_in_which_clocks_go_back_has_all_its_hours() -> None:
    body = sync(
        records=hrv(
            *("2025-10-25T22:00", "2025-10-26T00:30", "2025-10-26T01:30"),
            offset="+01:00",
        ),
        sleep=[
            asleep("2025-10-25T21:30", "2025-10-26T01:00", "+02:00"),
            asleep("2025-10-26T01:00", "2025-10-26T06:30", "+01:00", stage="deep"),
        ],
    )
    (one,) = sleeps(body)
    assert times(one) == (
        "2025-10-25T23:30:00+02:00",
        "2025-10-26T07:30:00+01:00",
        "+02:00",
        "2025-10-26",
    )
    # From half past eleven to half past seven, and the hour that came twice.
    assert readings(one)[SLEPT] == 9 * HOUR
    (night,) = nights(body)
    assert night.signals.night == date(2025, 10, 26)
    assert (night.sleep_s, night.zone_offset) == (9 * HOUR, "+01:00")


def test_the_night_in_which_clocks_go_forward_is_an_hour_short() -> None:
    """Health Auto Export writes wall times with the offset of each."""
    samples = [
        point(44, at=at)
        for at in (
            "2026-03-29 01:59:00 +0100",
            "2026-03-29 03:01:00 +0200",
            "2026-03-29 05:00:00 +0200",
        )
    ]
    item = {
        "date": "2026-03-29",
        "totalSleep": 7,
        "sleepStart": "2026-03-28 23:30:00 +0100",
        "sleepEnd": "2026-03-29 07:30:00 +0200",
    }
    body = export(
        metric("heart_rate_variability", "ms", *samples),
        metric("sleep_analysis", "hr", item),
    )
    (one,) = sleeps(body)
    assert one.start is not None
    assert one.end is not None
    assert one.end - one.start == timedelta(hours=7)
    assert one.local_date == date(2026, 3, 29)
    # Two minutes lie between the samples, not an hour and two minutes.
    (series,) = only(body, record_type="samples").series
    assert list(series.offsets_s or ()) == [0, 120, 2 * HOUR + 60]
    (night,) = nights(body)
    assert night.signals.night == date(2026, 3, 29)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    samples = [
        point(value, at=f"2025-10-26 02:30:00 {offset}")
        for value, offset in ((60, "+0200"), (70, "+0100"))
    ]
    said = only(export(metric("resting_heart_rate", "count/min", *samples)))
    assert said.local_date == date(2025, 10, 26)
    assert values(said) == {"watch": [60, 70]}
    assert list(said.series[0].offsets_s or ()) == [0, HOUR]


def test_who_wakes_elsewhere_wakes_on_the_date_there() -> None:
    """Asleep over the Atlantic: Berlin's clock at first, New York's at the end."""
    body = sync(
        records=hrv(
            *("2026-08-11T23:00", "2026-08-12T00:00", "2026-08-12T01:00"),
            offset="-04:00",
        ),
        sleep=[
            asleep("2026-08-11T22:30", "2026-08-12T00:00", "+02:00"),
            asleep("2026-08-12T00:00", "2026-08-12T03:30", "-04:00"),
        ],
    )
    (one,) = sleeps(body)
    assert times(one) == (
        "2026-08-12T00:30:00+02:00",
        "2026-08-11T23:30:00-04:00",
        "+02:00",
        "2026-08-11",
    )
    (night,) = nights(body)
    assert night.signals.night == date(2026, 8, 11)


def test_a_date_that_is_lived_twice_has_the_longer_of_its_nights() -> None:
    """From Tokyo to Honolulu: both mornings are those of 12 August."""
    tokyo = sync(
        records=hrv(
            *("2026-08-11T15:00", "2026-08-11T17:00", "2026-08-11T19:00"),
            offset="+09:00",
            value=40,
        ),
        sleep=[asleep("2026-08-11T14:00", "2026-08-11T22:00", "+09:00")],
    )
    honolulu = sync(
        records=hrv(
            *("2026-08-12T11:00", "2026-08-12T12:00", "2026-08-12T14:00"),
            offset="-10:00",
            value=60,
        ),
        sleep=[asleep("2026-08-12T10:00", "2026-08-12T16:00", "-10:00")],
    )
    there, back = sleeps(tokyo) + sleeps(honolulu)
    assert there.local_date == back.local_date == date(2026, 8, 12)
    assert there.record_id != back.record_id
    for pushed in ((tokyo, honolulu), (honolulu, tokyo)):
        (night,) = nights(*pushed)
        assert (night.signals.night, night.signals.value_ms) == (date(2026, 8, 12), 40)


def test_a_date_that_is_left_out_has_no_night() -> None:
    """From Honolulu to Tokyo: no morning of 12 August."""
    honolulu = sync(
        records=hrv(
            *("2026-08-11T11:00", "2026-08-11T12:00", "2026-08-11T14:00"),
            offset="-10:00",
        ),
        sleep=[asleep("2026-08-11T10:00", "2026-08-11T16:00", "-10:00")],
    )
    tokyo = sync(
        records=hrv(
            *("2026-08-12T15:00", "2026-08-12T17:00", "2026-08-12T19:00"),
            offset="+09:00",
        ),
        sleep=[asleep("2026-08-12T14:00", "2026-08-12T22:00", "+09:00")],
    )
    found = [one.signals.night for one in nights(honolulu, tokyo)]
    assert found == [date(2026, 8, 11), date(2026, 8, 13)]


def test_samples_belong_to_the_day_on_the_wall_where_they_were_taken() -> None:
    """Two minutes apart, on two dates: the zone changed between them."""
    body = sync(
        records=[
            record("HeartRate", 61, at="2026-08-11T22:30:00Z", zoneOffset="+02:00"),
            record("HeartRate", 62, at="2026-08-11T22:32:00Z", zoneOffset="-04:00"),
        ]
    )
    found = {one.local_date: values(one) for one in understand(body).records}
    assert found == {
        date(2026, 8, 12): {"watch": [61]},
        date(2026, 8, 11): {"watch": [62]},
    }
    assert {one.zone_offset for one in understand(body).records} == {"+02:00", "-04:00"}

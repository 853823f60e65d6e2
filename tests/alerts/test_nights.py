from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import (
    Night,
    clean_night,
    is_future,
    one_per_date,
    primary_series,
    series_id,
)
from biometrics.alerts.ruleset import Kind
from tests.alerts.builders import day, nights_of

MORNING = datetime(2025, 1, 1, 7, tzinfo=UTC)
STORED = Night(
    night=day(1),
    value_ms=50.0,
    rhr_bpm=52.0,
    rr_brpm=15.0,
    temp_c=0.1,
    sleep_s=8 * 3600,
    record_id="a",
    updated_at=MORNING,
    received_at=MORNING,
)


def cleaned(value_ms: Any = 50.0, *, kind: Kind = "RMSSD", **changes: Any) -> Night:
    arguments: dict[str, Any] = {
        "value_ms": value_ms,
        "rhr_bpm": 52,
        "rr_brpm": 15,
        "temp_c": 0.1,
        **changes,
    }
    return clean_night(night=day(1), kind=kind, ruleset=HRV_1, **arguments)


def at_nine(number: int) -> datetime:
    return datetime.combine(day(number), time(9), tzinfo=UTC)


class TestCleaning:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            float("nan"),
            float("inf"),
            0,
            0.0,
            -1,
            0.042,
            2.99,
            300.1,
            10_000,
            "50",
            True,
        ],
    )
    def test_an_unbelievable_rmssd_is_missing(self, value: object) -> None:
        night = cleaned(value)

        assert night.value_ms is None
        assert night.rhr_bpm == 52.0

    @pytest.mark.parametrize(
        ("kind", "value", "kept"),
        [
            ("RMSSD", 3, 3.0),
            ("RMSSD", 300, 300.0),
            ("SDNN", 3, 3.0),
            ("SDNN", 400, 400.0),
            ("SDNN", 400.1, None),
        ],
    )
    def test_the_ranges_of_the_two_kinds(
        self, kind: Kind, value: float, kept: float | None
    ) -> None:
        assert cleaned(value, kind=kind).value_ms == kept

    @pytest.mark.parametrize(
        ("field", "value", "kept"),
        [
            ("rhr_bpm", 24.9, None),
            ("rhr_bpm", 25, 25.0),
            ("rhr_bpm", 150, 150.0),
            ("rhr_bpm", 151, None),
            ("rr_brpm", 4.9, None),
            ("rr_brpm", 5, 5.0),
            ("rr_brpm", 40.1, None),
            ("temp_c", -0.4, -0.4),
            ("temp_c", 34.5, 34.5),
            ("temp_c", 23.29, None),
            ("temp_c", -8.1, None),
            ("temp_c", 43.1, None),
            ("temp_c", float("nan"), None),
        ],
    )
    def test_the_ranges_of_the_other_signals(
        self, field: str, value: Any, kept: float | None
    ) -> None:
        night = cleaned(**{field: value})

        assert getattr(night, field) == kept
        assert night.value_ms == 50.0

    @pytest.mark.parametrize(
        "reason",
        [
            {"scored": False},
            {"calibrating": True},
            {"sleep_s": 3 * 3600 - 1},
            {"sleep_s": float("nan")},
        ],
        ids=["not scored", "calibrating", "short sleep", "sleep of no length"],
    )
    def test_a_night_that_does_not_count_says_nothing(
        self, reason: dict[str, Any]
    ) -> None:
        night = cleaned(**reason)

        signals = (night.value_ms, night.rhr_bpm, night.rr_brpm, night.temp_c)
        assert signals == (None, None, None, None)

    @pytest.mark.parametrize("sleep_s", [None, 3 * 3600, 9 * 3600])
    def test_three_hours_of_sleep_are_a_night(self, sleep_s: float | None) -> None:
        assert cleaned(sleep_s=sleep_s).value_ms == 50.0


class TestDates:
    @pytest.mark.parametrize(
        ("zone", "date_ahead", "future"),
        [
            # 9:00 on the tenth in UTC is 23:00 on Kiritimati and 22:00 the ninth on Niue.
            (None, 0, False),
            (None, 1, True),
            ("+00:00", 0, False),
            ("+00:00", 1, True),
            ("+14:00", 0, False),
            ("-11:00", 0, True),
            ("-11:00", -1, False),
        ],
    )
    def test_a_date_that_the_person_has_not_reached_is_the_future(
        self, *, zone: str | None, date_ahead: int, future: bool
    ) -> None:
        found = is_future(
            night=day(10 + date_ahead), ended=None, zone_offset=zone, now=at_nine(10)
        )
        assert found is future

    @pytest.mark.parametrize(
        ("zone", "minutes_ahead", "future"),
        [
            ("+00:00", -60, False),
            ("+00:00", 15, False),
            ("+00:00", 16, True),
            ("-11:00", 15, False),
            ("-11:00", 16, True),
            (None, 14 * 60 + 15, False),
            (None, 14 * 60 + 16, True),
        ],
    )
    def test_a_sleep_cannot_end_after_now(
        self, *, zone: str | None, minutes_ahead: int, future: bool
    ) -> None:
        ended = at_nine(10) + timedelta(minutes=minutes_ahead)
        found = is_future(night=day(10), ended=ended, zone_offset=zone, now=at_nine(10))
        assert found is future

    def test_an_evening_sleep_may_count_towards_the_next_date_only(self) -> None:
        def found(ahead: int) -> bool:
            return is_future(
                night=day(10 + ahead),
                ended=at_nine(10),
                zone_offset="+02:00",
                now=at_nine(10),
            )

        assert (found(1), found(2)) == (False, True)

    def test_a_clock_change_keeps_one_record_per_waking_date(self) -> None:
        # Central Europe, 30 March 2025: the night has seven hours on the clock.
        winter, summer = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))
        wakings = [
            datetime(2025, 3, 29, 7, tzinfo=winter),
            datetime(2025, 3, 30, 7, tzinfo=summer),
            datetime(2025, 3, 31, 7, tzinfo=summer),
        ]
        nights = [Night(night=waking.date(), value_ms=50.0) for waking in wakings]

        assert sorted(one_per_date(nights)) == [date(2025, 3, d) for d in (29, 30, 31)]

    def test_two_wakings_on_one_date_after_a_flight_west_are_one_night(self) -> None:
        # Woken in Tokyo, flown over the date line, woken in Honolulu on the same date.
        tokyo = replace(STORED, record_id="tokyo", sleep_s=7 * 3600, value_ms=48.0)
        honolulu = replace(
            STORED,
            record_id="honolulu",
            sleep_s=5 * 3600,
            value_ms=40.0,
            updated_at=MORNING + timedelta(hours=19),
        )

        assert one_per_date([tokyo, honolulu]) == {day(1): tokyo}
        assert one_per_date([honolulu, tokyo]) == {day(1): tokyo}

    def test_a_flight_east_leaves_a_date_without_a_night(self) -> None:
        nights = nights_of([50.0, None, 52.0])

        assert [n.value_ms for n in one_per_date(nights).values()] == [50.0, None, 52.0]


class TestSeries:
    def test_the_maker_and_the_device_name_it(self) -> None:
        assert series_id(kind="RMSSD", source=" Ring ", device="Gen:3") == (
            "RMSSD:ring:gen-3"
        )

    def test_kinds_makers_and_devices_never_share_one(self) -> None:
        names = {
            series_id(kind=kind, source=source, device=device)
            for kind in ("RMSSD", "SDNN")
            for source in ("one", "two", "")
            for device in ("watch", "")
        }

        assert len(names) == 12
        assert "SDNN:unknown:unknown" in names

    def test_the_one_with_most_valid_nights_lately_pages(self) -> None:
        series = {
            "b": nights_of([50.0] * 25 + [None] * 5),
            "a": nights_of([50.0] * 10 + [None] * 20),
            # Worn for long, but not any more: only the last 30 nights count.
            "old": [
                replace(night, night=night.night - timedelta(days=100))
                for night in nights_of([50.0] * 90)
            ],
        }

        assert primary(series) == "b"

    def test_a_tie_goes_to_the_first_by_name(self) -> None:
        nights = nights_of([50.0] * 30)

        assert primary({"b": nights, "a": nights}) == "a"
        assert primary({"a": nights, "b": nights}) == "a"

    def test_doubled_nights_count_once(self) -> None:
        series = {"a": nights_of([50.0] * 10) * 3, "b": nights_of([50.0] * 11)}

        assert primary(series) == "b"

    def test_nobody_without_nights_pages(self) -> None:
        assert primary({}) is None


def primary(series: dict[str, list[Night]]) -> str | None:
    return primary_series(series=series, newest_night=day(30), ruleset=HRV_1)

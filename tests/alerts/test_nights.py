from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import (
    Change,
    Night,
    clean_night,
    compare,
    is_future,
    newest,
    night_value,
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

    @pytest.mark.parametrize(
        ("samples", "value"),
        [
            ([40, 50, 90], 50.0),
            ([40, 50, 60, 90], 55.0),
            ([40, 50], None),
            ([], None),
            ([40, 50, None, 0, float("nan"), 10_000, 0.05], None),
            ([40, None, 50, 0, 60], 50.0),
        ],
    )
    def test_samples_give_their_median_when_three_are_usable(
        self, samples: list[float | None], value: float | None
    ) -> None:
        assert night_value(samples=samples, kind="SDNN", ruleset=HRV_1) == value


class TestDates:
    @pytest.mark.parametrize(
        ("ahead", "future"), [(-1, False), (0, False), (1, False), (2, True)]
    )
    def test_a_date_that_no_place_on_earth_has_is_the_future(
        self, *, ahead: int, future: bool
    ) -> None:
        assert is_future(night=day(10 + ahead), today=day(10)) is future

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


class TestVersions:
    LATER = MORNING + timedelta(hours=1)

    def change(self, **changes: object) -> Change:
        incoming = replace(STORED, **changes)  # type: ignore[arg-type]
        return compare(stored=STORED, incoming=incoming, kind="RMSSD", ruleset=HRV_1)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (50.0, "unchanged"),
            (50.49, "unchanged"),
            (49.51, "unchanged"),
            (50.5, "revised"),
            (49.4, "revised"),
            (None, "revised"),
        ],
    )
    def test_a_step_below_half_a_millisecond_is_noise(
        self, value: float | None, expected: Change
    ) -> None:
        assert self.change(value_ms=value, updated_at=self.LATER) == expected

    @pytest.mark.parametrize(
        ("value", "expected"), [(10.05, "unchanged"), (10.2, "revised")]
    )
    def test_for_low_values_one_percent_is_the_narrower_band(
        self, value: float, expected: Change
    ) -> None:
        low = replace(STORED, value_ms=10.0)
        incoming = replace(low, value_ms=value, updated_at=self.LATER)

        found = compare(stored=low, incoming=incoming, kind="RMSSD", ruleset=HRV_1)
        assert found == expected

    @pytest.mark.parametrize(
        ("field", "small", "large"),
        [("rhr_bpm", 52.4, 52.5), ("rr_brpm", 15.1, 15.3), ("temp_c", 0.14, 0.2)],
    )
    def test_the_other_signals_have_their_own_bands(
        self, field: str, small: float, large: float
    ) -> None:
        assert self.change(**{field: small, "updated_at": self.LATER}) == "unchanged"
        assert self.change(**{field: large, "updated_at": self.LATER}) == "revised"
        assert self.change(**{field: None, "updated_at": self.LATER}) == "revised"

    def test_an_older_version_is_stale_however_late_it_comes(self) -> None:
        older = MORNING - timedelta(seconds=1)

        assert (
            self.change(value_ms=20.0, updated_at=older, received_at=self.LATER)
            == "stale"
        )

    def test_equal_stamps_are_decided_by_the_time_of_receipt(self) -> None:
        earlier = MORNING - timedelta(minutes=1)

        assert self.change(value_ms=20.0, received_at=self.LATER) == "revised"
        assert self.change(value_ms=20.0, received_at=earlier) == "stale"

    def test_at_equal_times_the_other_content_wins(self) -> None:
        assert self.change(value_ms=20.0) == "revised"

    def test_the_same_delivery_again_changes_nothing(self) -> None:
        assert self.change() == "unchanged"

    @pytest.mark.parametrize(("hours", "expected"), [(9, "revised"), (7, "stale")])
    def test_of_two_sleeps_the_longer_is_the_night(
        self, hours: int, expected: Change
    ) -> None:
        found = self.change(
            record_id="b", value_ms=30.0, sleep_s=hours * 3600, updated_at=self.LATER
        )

        assert found == expected

    def test_the_same_sleep_may_become_shorter(self) -> None:
        assert (
            self.change(value_ms=30.0, sleep_s=4 * 3600, updated_at=self.LATER)
            == "revised"
        )

    def test_a_deleted_sleep_makes_room_for_a_shorter_one(self) -> None:
        deleted = replace(STORED, value_ms=None, updated_at=self.LATER)
        shorter = replace(STORED, record_id="b", sleep_s=5 * 3600, value_ms=44.0)

        found = compare(stored=deleted, incoming=shorter, kind="RMSSD", ruleset=HRV_1)
        assert found == "revised"

    def test_the_version_that_stands_does_not_depend_on_the_order(self) -> None:
        versions = [
            STORED,
            replace(STORED, value_ms=44.0, updated_at=self.LATER),
            replace(STORED, value_ms=43.0, received_at=self.LATER),
            replace(STORED, value_ms=42.0),
            replace(STORED, record_id="b", sleep_s=6 * 3600, value_ms=30.0),
        ]

        found = {newest(order) for order in itertools.permutations(versions)}
        assert found == {versions[1]}

    def test_equal_stamps_with_other_values_still_have_one_answer(self) -> None:
        versions = [replace(STORED, value_ms=value) for value in (50.0, None, 42.0)]

        assert len({newest(order) for order in itertools.permutations(versions)}) == 1


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

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Change, Night, compare, newest
from tests.alerts.builders import day

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

    @pytest.mark.parametrize("signal", ["value_ms", "rhr_bpm", "rr_brpm", "temp_c"])
    @pytest.mark.parametrize("other", [None, 1.0])
    def test_of_two_versions_with_one_stamp_the_higher_values_stand(
        self, *, signal: str, other: float | None
    ) -> None:
        base = Night(night=day(1), record_id="a", updated_at=MORNING, value_ms=50.0)
        higher: dict[str, Any] = {signal: 60.0}
        lower: dict[str, Any] = {signal: other}
        high, low = replace(base, **higher), replace(base, **lower)
        assert newest([high, low]) == newest([low, high]) == high

    def test_of_two_sleeps_that_are_alike_the_name_decides(self) -> None:
        base = Night(night=day(1), value_ms=50.0, sleep_s=28_800, updated_at=MORNING)
        first, second = replace(base, record_id="a"), replace(base, record_id="b")
        assert newest([first, second]) == newest([second, first]) == second

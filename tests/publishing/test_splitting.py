"""Values that are too long for one record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.catalogue import Metric
from biometrics.messages import NewMessage
from biometrics.vendors.records import Record, Series
from tests.publishing.nights import ASSESSMENT, BEDTIME, EVENT, SLEEP, told, value


def samples(messages: list[NewMessage]) -> list[tuple[str, float]]:
    """Return (time, value) of the first metric's samples of all parts, in order."""
    found = []
    for message in messages:
        for row in value(message)["series"]:
            start = datetime.fromisoformat(row["start"])
            steps = row.get("offsets_s") or [
                i * row["interval_s"] for i in range(len(row["values"]))
            ]
            found += [
                ((start + timedelta(seconds=step)).isoformat(), number)
                for step, number in zip(steps, row["values"], strict=True)
            ]
    return found


class TestSplitting:
    def long(self, count: int, *, regular: bool = True) -> Record:
        numbers = tuple(float(50 + index % 40) for index in range(count))
        series = Series(
            metric=Metric.HEART_RATE,
            start=BEDTIME,
            values=numbers,
            interval_s=1.0 if regular else None,
            offsets_s=None if regular else tuple(index * 1.5 for index in range(count)),
        )
        return replace(SLEEP, series=(series,))

    @pytest.mark.parametrize("regular", [True, False])
    def test_nothing_is_lost_and_every_part_fits(self, regular: bool) -> None:  # noqa: FBT001
        record = self.long(20_000, regular=regular)
        whole = told(record, max_bytes=10_000_000)
        parts = told(record, max_bytes=20_000, assessment=ASSESSMENT)
        assert len(whole) == 1 < len(parts)
        assert all(len(part.value) <= 20_000 for part in parts)
        assert samples(parts) == samples(whole)

    def test_parts_say_which_they_are(self) -> None:
        parts = told(self.long(20_000), max_bytes=20_000, assessment=ASSESSMENT)
        count = len(parts)
        assert [value(part)["part"] for part in parts] == [
            {"index": index, "count": count} for index in range(1, count + 1)
        ]
        assert [part.ce_id for part in parts] == [
            uuid5(EVENT, str(index)) for index in range(1, count + 1)
        ]
        assert {part.headers["ce_id"] for part in parts} == {
            str(part.ce_id) for part in parts
        }
        assert {part.event_id for part in parts} == {EVENT}

    def test_readings_and_assessment_come_once(self) -> None:
        first, *others = told(
            self.long(20_000), max_bytes=20_000, assessment=ASSESSMENT
        )
        assert value(first)["readings"]
        assert value(first)["assessment"] == ASSESSMENT
        assert all(not value(part)["readings"] for part in others)
        assert all("assessment" not in value(part) for part in others)

    def test_all_series_of_a_time_travel_together(self) -> None:
        one, two = self.long(5_000).series[0], self.long(5_000, regular=False).series[0]
        record = replace(SLEEP, series=(one, replace(two, metric=Metric.HRV_RMSSD)))
        parts = told(record, max_bytes=20_000)
        ends = []
        for part in parts:
            times = [time for time, _ in samples([part])]
            ends.append((min(times), max(times)))
        assert all(earlier[1] < later[0] for earlier, later in pairwise(ends))

    @given(
        counts=st.lists(st.integers(1, 300), min_size=1, max_size=4),
        limit=st.integers(700, 4_000),
    )
    def test_whatever_the_series_nothing_is_lost(
        self, counts: list[int], limit: int
    ) -> None:
        series = tuple(self.long(count).series[0] for count in counts)
        record = replace(SLEEP, series=series, readings=())
        parts = told(record, max_bytes=limit)
        assert sorted(samples(parts)) == sorted(samples(told(record)))

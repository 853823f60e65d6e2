"""Nights as they are stored do not depend on the order in which their versions came."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biometrics.models import HrvNight
from tests.pipeline.world import NOW, World, night, says

TODAY = NOW.date()
RECORDS = ("a", "b", "c")
Stored = dict[date, tuple[float, str, str, dict[str, Any]]]


@st.composite
def versions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return versions of up to three sleeps: re-scored, longer, shorter, moved, gone.

    Values of two versions differ by more than the dead band, which keeps the older of
    two equal ones on purpose.
    """
    said: list[dict[str, Any]] = []
    values = draw(st.permutations(range(30, 90, 5)))
    for record_id in RECORDS:
        for number in range(draw(st.integers(1, 3))):
            ago = draw(st.integers(0, 2))
            ms = float(values[len(said) % len(values)])
            one = night(
                (TODAY - timedelta(days=ago)).isoformat(), ms, record_id=record_id
            )
            one["stamp"] = (NOW + timedelta(minutes=number)).isoformat()
            hours = draw(st.sampled_from([2, 4, 6, 8]))
            one["readings"]["sleep_duration"] = hours * 3600
            if draw(st.integers(0, 4)) == 0:
                one = {**one, "action": "deleted", "night": None, "readings": {}}
            said.append(one)
    return said


def stored_after(order: list[dict[str, Any]]) -> Stored:
    """Carry the versions in this order, look at the nights, and forget all of it."""
    with transaction.atomic():
        world = World()
        history = range(20, 4, -1)
        days = [(TODAY - timedelta(days=ago)).isoformat() for ago in history]
        world.carry(says(*(night(day, 50 + 3 * (len(days) % 3)) for day in days)))
        for one in order:
            world.carry(says(one))
        rows = HrvNight.objects.filter(
            is_main=True, night__gte=TODAY - timedelta(days=3)
        )
        found = {
            row.night: (row.value_ms, row.record_id, row.severity, row.verdict)
            for row in rows
            if row.value_ms is not None
        }
        transaction.set_rollback(True)
    return found


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=versions(), data=st.data())
def test_any_order_of_arrival_leaves_the_same_nights(
    db: None, said: list[dict[str, Any]], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(said))
    assert stored_after(said) == stored_after(other)


def test_a_shorter_sleep_speaks_once_the_longer_one_is_deleted(db: None) -> None:
    today = TODAY.isoformat()
    long, short = (
        night(today, ms, record_id=name) for name, ms in (("l", 55), ("s", 45))
    )
    long["readings"]["sleep_duration"] = 25_000
    short["readings"]["sleep_duration"] = 12_000
    gone = {**long, "action": "deleted", "night": None}
    gone["stamp"] = (NOW + timedelta(hours=1)).isoformat()
    for order in ([long, short, gone], [short, long, gone], [long, gone, short]):
        found = stored_after(order)
        assert [values[:2] for values in found.values()] == [(45, "s")]


def test_of_two_equal_sleeps_the_one_that_speaks_does_not_depend_on_receipt(
    db: None,
) -> None:
    first, second = (
        night(TODAY.isoformat(), ms, record_id=name)
        for name, ms in (("1", 55), ("2", 45))
    )

    def speaks(*order: dict[str, Any], together: bool) -> str:
        with transaction.atomic():
            world = World()
            for one in order:
                world.wait(minutes=1)
                world.store(says(one))
                if not together:
                    world.run()
            world.run()
            found = HrvNight.objects.get(is_main=True).record_id
            transaction.set_rollback(True)
        return found

    found = {
        speaks(*order, together=together)
        for order in ([first, second], [second, first])
        for together in (True, False)
    }
    assert len(found) == 1


def test_a_sleep_that_becomes_the_shorter_one_gives_way(db: None) -> None:
    today = TODAY.isoformat()
    first, second = (
        night(today, ms, record_id=name) for name, ms in (("1", 55), ("2", 45))
    )
    first["readings"]["sleep_duration"] = 25_000
    second["readings"]["sleep_duration"] = 20_000
    cut = {**first, "readings": {**first["readings"], "sleep_duration": 12_000}}
    cut["stamp"] = (NOW + timedelta(hours=1)).isoformat()
    found = stored_after([first, second, cut])
    assert found[TODAY][:2] == (45, "2")

"""What hrv-1 costs healthy people and sees of events, on simulated people.

The full table, with other rules beside it, is printed by `tests.bench.bench_hrv`. Here
fewer people are judged, so each bound leaves two standard errors of room.
"""

from __future__ import annotations

import math
from functools import cache

import pytest

from tests.bench.hrv_people import NIGHTS, Model, Person
from tests.bench.hrv_rates import (
    MILD,
    STRONG,
    Seen,
    fixed_limits,
    healthy_rates,
    people,
    percent_drop,
    personal_only,
    seen,
)

PEOPLE = 500
# About 74 of 90 nights are ACTIVE when 12 % are missing.
MONTHS = PEOPLE * 0.82 * NIGHTS / 30


@cache
def crowd() -> tuple[Person, ...]:
    return tuple(people(count=PEOPLE, seed=1, model=Model()))


@cache
def events(*, strong: bool) -> Seen:
    event = STRONG if strong else MILD
    return seen(crowd=crowd(), event=event, ruleset=personal_only(), seed=1)


def rate_with_room(limit: float) -> float:
    return limit + 2 * math.sqrt(limit / MONTHS)


def share_with_room(limit: float) -> float:
    return limit - 2 * math.sqrt(limit * (1 - limit) / PEOPLE)


def test_healthy_people_are_rarely_disturbed() -> None:
    found = healthy_rates(crowd=crowd(), ruleset=personal_only())

    assert found.high <= rate_with_room(0.43)
    assert found.critical <= rate_with_room(0.065)
    assert 0.03 <= found.below_minus_2 <= 0.06
    assert found.often <= 0.01


def test_a_mild_event_is_seen_on_its_second_night() -> None:
    found = events(strong=False)

    assert found.high >= share_with_room(0.95)
    assert found.median_night == 2
    assert found.critical >= share_with_room(0.60)


def test_a_strong_event_is_seen_at_once() -> None:
    found = events(strong=True)

    assert found.high >= share_with_room(0.98)
    assert found.median_night == 1


@pytest.mark.parametrize(
    "other", [fixed_limits(critical_ms=25, high_ms=40), percent_drop(percent=30)]
)
def test_the_rules_it_replaces_disturb_twice_as_often_and_see_less(
    other: object,
) -> None:
    ours = healthy_rates(crowd=crowd()[:150], ruleset=personal_only())
    theirs = healthy_rates(crowd=crowd()[:150], ruleset=other)  # type: ignore[arg-type]

    assert theirs.high + theirs.critical > 1.8 * (ours.high + ours.critical)

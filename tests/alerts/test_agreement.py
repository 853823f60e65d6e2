"""The engine against shuffled arrival and against a literal reading of the rules."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Night
from biometrics.alerts.rules import judge_many
from tests.alerts.builders import alternating, judged, nights_of
from tests.alerts.reference import CORROBORATORS, SDNN, Person

values_in_ms = st.one_of(
    st.none(), st.floats(min_value=8, max_value=150, allow_nan=False)
)


@settings(max_examples=60, deadline=None)
@given(
    hrv=st.lists(values_in_ms, min_size=20, max_size=75),
    seed=st.integers(min_value=0, max_value=10_000),
)
def test_any_order_of_arrival_gives_the_same_verdicts(
    hrv: list[float | None], seed: int
) -> None:
    shuffler = random.Random(seed)
    nights = nights_of(
        hrv,
        rhr=[shuffler.gauss(55, 4) for _ in hrv],
        rr=[shuffler.gauss(15, 1) for _ in hrv],
        temp=[shuffler.gauss(0, 0.5) for _ in hrv],
    )
    shuffled = nights[:]
    shuffler.shuffle(shuffled)
    dates = [night.night for night in nights]

    def verdicts(order: list[Night]) -> object:
        return judge_many(nights=order, judged=dates, kind="RMSSD", ruleset=HRV_1)

    assert verdicts(shuffled) == verdicts(nights)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(min_value=0, max_value=1_000_000))
def test_the_engine_agrees_with_a_literal_reading_of_the_rules(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(15, 100)
    dip = chance.choice([0.0, 0.3, 0.6])
    hrv: list[float | None] = []
    others: dict[str, list[float | None]] = {name: [] for name in CORROBORATORS}
    for number in range(count):
        ill = dip if number > count - chance.randint(2, 8) else 0.0
        worn = chance.random() > 0.15
        hrv.append(math.exp(chance.gauss(3.8, 0.2) - ill) if worn else None)
        for name, (usual, spread) in {
            "RHR": (55.0, 2.5),
            "RR": (15.0, 0.6),
            "TEMP": (0.0, 0.4),
        }.items():
            value = chance.gauss(usual, spread) + ill * 8 * spread
            others[name].append(value if chance.random() > 0.1 else None)

    literal = Person(
        hrv={n: v for n, v in enumerate(hrv, start=1) if v is not None},
        others={
            name: {n: v for n, v in enumerate(series, start=1) if v is not None}
            for name, series in others.items()
        },
    )
    nights = nights_of(hrv, rhr=others["RHR"], rr=others["RR"], temp=others["TEMP"])
    for number in range(max(1, count - 10), count + 1):
        verdict = judged(nights, number)

        assert verdict.z1 == pytest.approx(literal.z1(number), abs=1e-9)
        assert verdict.z7 == pytest.approx(literal.z7(number), abs=1e-9)
        assert list(verdict.reasons) == literal.reasons(number)
        assert verdict.severity == literal.severity(number)


def test_sdnn_agrees_with_the_literal_reading() -> None:
    values = [*alternating(30, low=40, high=70), 25.0]
    literal = Person(
        hrv={n: v for n, v in enumerate(values, start=1) if v is not None}, signal=SDNN
    )

    assert judged(nights_of(values), kind="SDNN").z1 == pytest.approx(literal.z1(31))

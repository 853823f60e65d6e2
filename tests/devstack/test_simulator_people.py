"""Simulated bodies: plausible, the same for the same seed, and eventful."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest

from auren.devstack.simulator import timeline
from auren.devstack.simulator.days import day_of, so_far
from auren.devstack.simulator.people import SENDERS, Person, cast
from auren.devstack.simulator.physiology import Night, night_of
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Night as StoredNight
from biometrics.alerts.rules import judge_many

TODAY = date(2026, 11, 20)
PEOPLE = cast(seed=7, count=6, today=TODAY)


def _nights(person: Person, *, last: int = 90, first: int = 0) -> list[Night]:
    days = (TODAY - timedelta(days=back) for back in range(first, last))
    return [night for day in days if (night := night_of(person, day)) is not None]


def _by_sender(sender: str) -> Person:
    return next(person for person in PEOPLE if person.sender == sender)


def test_six_people_cover_all_vendors_and_have_accounts_of_their_own() -> None:
    assert {person.vendor for person in PEOPLE} == {
        "oura",
        "whoop",
        "terra",
        "healthkit",
    }
    assert len({person.account for person in PEOPLE}) == 6
    assert _by_sender("whoop").account.isdigit()


def test_the_same_seed_gives_the_same_life_in_another_process() -> None:
    code = (
        "from datetime import date\n"
        "from auren.devstack.simulator.people import cast\n"
        "from auren.devstack.simulator.physiology import night_of\n"
        "person = cast(seed=7, count=6, today=date(2026, 11, 20))[1]\n"
        "print(person.account, night_of(person, date(2026, 11, 1)))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    here = PEOPLE[1]
    night = night_of(here, date(2026, 11, 1))
    assert made.stdout == f"{here.account} {night}\n"


def test_another_seed_gives_other_accounts_and_other_nights() -> None:
    other = cast(seed=8, count=6, today=TODAY)
    assert not {p.account for p in other} & {p.account for p in PEOPLE}
    assert night_of(other[0], TODAY) != night_of(PEOPLE[0], TODAY)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.label)
def test_healthy_nights_vary_as_healthy_nights_do(person: Person) -> None:
    # Neither the illness at the end nor the cold some weeks ago.
    nights = _nights(person, first=5, last=45) + _nights(person, first=56, last=400)
    logs = [math.log(night.rmssd_ms) for night in nights]
    assert math.exp(statistics.mean(logs)) == pytest.approx(
        person.traits.rmssd_ms, rel=0.06
    )
    assert 0.06 < statistics.stdev(logs) < 0.17
    rates = [night.resting_bpm for night in nights]
    assert statistics.mean(rates) == pytest.approx(person.traits.resting_bpm, abs=1.5)
    assert 0.8 < statistics.stdev(rates) < 3


def test_neighbouring_nights_resemble_each_other() -> None:
    person = PEOPLE[5]
    days = [date(2020, 1, 1) + timedelta(days=step) for step in range(1500)]
    nights = [night_of(person, day) for day in days]
    logs = [math.log(night.rmssd_ms) for night in nights if night is not None]
    assert 0.15 < statistics.correlation(logs[:-1], logs[1:]) < 0.40


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.label)
def test_a_night_adds_up(person: Person) -> None:
    for night in _nights(person):
        assert sum(night.seconds(stage) for stage in "1234") == night.in_bed_s
        assert (night.end - night.start).total_seconds() == night.in_bed_s
        assert night.end.date() == night.on
        assert min(night.heart_rates) == night.resting_bpm
        heard = [value for value in night.rmssd_series if value is not None]
        assert statistics.mean(heard) == pytest.approx(night.rmssd_ms, rel=0.03)
        assert 3 < night.in_bed_s / 3600 < 11


def test_the_ill_person_has_low_hrv_and_a_fast_warm_body() -> None:
    patient = _by_sender("terra")
    ill = _nights(patient, last=2)
    assert [night.rmssd_ms < 25 for night in ill] == [True] * 2
    assert min(night.rmssd_ms for night in ill) == 20.0
    for night in ill:
        assert night.resting_bpm > patient.traits.resting_bpm + 6
        assert night.temperature_deviation_c > 0.6
        assert night.breaths > patient.traits.breaths + 1
        assert night.score < 80
    assert all(night.rmssd_ms > 30 for night in _nights(patient, first=4, last=30))


@pytest.mark.parametrize("senders", [("terra",), SENDERS], ids=["terra", "all"])
@pytest.mark.parametrize("seed", [7, 8])
def test_the_illness_is_the_same_story_on_any_day(
    seed: int, senders: tuple[str, ...]
) -> None:
    for later in range(0, 120, 3):
        today = TODAY + timedelta(days=later)
        people = cast(seed=seed, count=6, today=today, senders=senders)
        ill = next(person for person in people if person.sender == "terra")
        days = [today - timedelta(days=back) for back in range(29, -1, -1)]
        verdicts = judge_many(
            nights=[_as_judged(night_of(ill, day), day) for day in days],
            judged=days[-5:],
            kind="RMSSD",
            ruleset=HRV_1,
        )
        story = [verdict.severity for verdict in verdicts]
        assert story == ["NORMAL", "NORMAL", "MEDIUM", "CRITICAL", "CRITICAL"], today


def _as_judged(night: Night | None, day: date) -> StoredNight:
    if night is None:
        return StoredNight(night=day)
    return StoredNight(
        night=day,
        value_ms=night.rmssd_ms,
        rhr_bpm=night.resting_bpm,
        rr_brpm=night.breaths,
        temp_c=night.temperature_deviation_c,
    )


def test_a_misread_night_is_corrected_hours_later() -> None:
    wearer = PEOPLE[0]
    yesterday = TODAY - timedelta(days=1)
    assert wearer.episode("misread", yesterday) is not None
    noon = datetime.combine(yesterday, time(0), UTC)
    told = [
        (item.at, document.body["average_hrv"], item.essential)
        for _, item in timeline.between(
            (wearer,), since=noon, until=noon + timedelta(days=1)
        )
        for document in item.delivery.documents
        if document.collection == "sleep"
    ]
    (first, low, _), (second, right, is_essential) = told
    night = night_of(wearer, yesterday)
    assert night is not None
    assert (low, right) == (round(night.rmssd_ms / 2), round(night.rmssd_ms))
    assert second - first >= timedelta(hours=6)
    assert [item[2] for item in told] == [False, True]
    assert is_essential


def test_without_illness_nobody_is_that_low() -> None:
    for person in cast(seed=7, count=6, today=TODAY, illness=False):
        assert all(night.rmssd_ms > 25 for night in _nights(person, last=30))


def test_a_traveller_sleeps_in_another_zone() -> None:
    traveller = _by_sender("whoop")
    offsets = {night.end.utcoffset() for night in _nights(traveller, last=20)}
    assert offsets == {timedelta(hours=1), timedelta(hours=-5)}


def test_a_lost_ring_is_silent() -> None:
    loser = PEOPLE[4]
    quiet = [TODAY - timedelta(days=back) for back in range(14, 19)]
    assert {night_of(loser, day) for day in quiet} == {None}
    # From noon of the first day without it: by then the day before is closed.
    noon = datetime.combine(min(quiet), time(12), UTC)
    until = datetime.combine(max(quiet), time(12), UTC)
    assert timeline.between((loser,), since=noon, until=until) == []


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.label)
def test_a_day_only_grows(person: Person) -> None:
    day = day_of(person, TODAY)
    assert day is not None
    states = [so_far(day, day.midnight + timedelta(hours=hour)) for hour in range(30)]
    for before, after in pairwise(states):
        assert before.steps <= after.steps
        assert before.total_kcal <= after.total_kcal
    assert states[0].steps == 0
    assert states[-1] == day


def test_the_timeline_is_in_order_and_has_no_gap_between_two_spans() -> None:
    start = datetime(2026, 11, 10, 3, 17, tzinfo=UTC)
    middle, end = start + timedelta(hours=29), start + timedelta(days=3)
    whole = timeline.between(PEOPLE, since=start, until=end)
    parts = timeline.between(PEOPLE, since=start, until=middle)
    parts += timeline.between(PEOPLE, since=middle, until=end)
    assert whole == parts
    assert [item.at for _, item in whole] == sorted(item.at for _, item in whole)
    assert {person.sender for person, _ in whole} == {p.sender for p in PEOPLE}

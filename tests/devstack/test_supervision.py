"""What crashes is started again, until that is plainly no use."""

from __future__ import annotations

import pytest

from auren.devstack.process import ServiceError
from auren.devstack.supervision import RESTARTS, WINDOW_S, Ended, Supervisor


class Recorder:
    """A member that only counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.launches = 0
        self.running = True

    def launch(self) -> None:
        self.launches += 1

    def stop(self) -> None:
        self.running = False


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker() -> Recorder:
    return Recorder("worker")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(clock: Clock, worker: Recorder, said: list[str]) -> Supervisor:
    members = [Recorder("web"), worker]
    return Supervisor(members=members, say=said.append, clock=clock)


CRASH = Ended(name="worker", code=-9)


def test_the_first_crash_is_answered_at_once_and_said_so(
    supervisor: Supervisor, worker: Recorder, said: list[str]
) -> None:
    supervisor.step(CRASH)

    assert worker.launches == 1
    assert said == ["worker was ended by signal 9; starting it again in 0 s."]


def test_each_further_crash_waits_longer(
    supervisor: Supervisor, worker: Recorder, clock: Clock
) -> None:
    supervisor.step(CRASH)
    for delay in (1, 2, 4):
        launches = worker.launches
        supervisor.step(CRASH)
        clock.now += delay - 0.1
        supervisor.step(None)
        assert worker.launches == launches
        clock.now += 0.1
        supervisor.step(None)
        assert worker.launches == launches + 1


def test_one_that_keeps_crashing_ends_the_stack(
    supervisor: Supervisor, worker: Recorder, clock: Clock
) -> None:
    for _ in range(RESTARTS):
        supervisor.step(CRASH)
        clock.now += 9
        supervisor.step(None)
    with pytest.raises(ServiceError, match="worker was ended by signal 9 for the 6th"):
        supervisor.step(CRASH)
    assert worker.launches == RESTARTS


def test_old_crashes_are_forgiven(
    supervisor: Supervisor, worker: Recorder, clock: Clock
) -> None:
    for _ in range(3 * RESTARTS):
        supervisor.step(CRASH)
        clock.now += WINDOW_S + 1
        supervisor.step(None)
    assert worker.launches == 3 * RESTARTS


def test_an_end_is_handed_over_between_threads(supervisor: Supervisor) -> None:
    assert supervisor.wait(timeout=0) is None
    supervisor.ended("web", 1)
    assert supervisor.wait(timeout=1) == Ended(name="web", code=1)

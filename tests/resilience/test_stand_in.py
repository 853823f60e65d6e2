"""While the store is away each process goes on from its last view, by itself."""

from __future__ import annotations

import logging

import pytest

from resilience.errors import CircuitBreakerOpen, StoreUnavailableError
from resilience.protocol import Question, Reply
from resilience.states import Action, Mode, State
from resilience.storage.memory import MemoryStore
from tests.resilience.clockwork import (
    FakeClock,
    StoreHarness,
    fail,
    succeed,
)


class FlakyStore(MemoryStore):
    """A store that can go away and be emptied."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(now_ms=clock.store_ms)
        self.is_away = False

    def decide(self, *questions: Question) -> list[Reply]:
        if self.is_away:
            raise StoreUnavailableError
        return super().decide(*questions)

    def wipe(self) -> None:
        """Forget everything, as FLUSHALL does."""
        self._machines.clear()


@pytest.fixture
def store(clock: FakeClock) -> FlakyStore:
    return FlakyStore(clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def harness(store: FlakyStore, clock: FakeClock) -> StoreHarness:
    return StoreHarness(store, clock)


def lose(harness: StoreHarness, store: FlakyStore) -> None:
    """Take the store away and let the views grow old."""
    store.is_away = True
    harness.clock.advance(0.3)


def bring_back(harness: StoreHarness, store: FlakyStore) -> None:
    """Give the store back and let the views grow old."""
    store.is_away = False
    harness.clock.advance(0.3)


def test_a_process_that_has_never_seen_the_store_starts_closed(
    harness: StoreHarness, store: FlakyStore
) -> None:
    store.is_away = True
    breaker = harness.breaker(failure_threshold=2)

    assert succeed(breaker) == "result"
    assert not breaker.snapshot().store_up
    fail(breaker)
    fail(breaker)
    assert breaker.snapshot().state is State.OPEN


def test_a_count_goes_on(harness: StoreHarness, store: FlakyStore) -> None:
    breaker = harness.breaker(failure_threshold=3)
    fail(breaker)
    fail(breaker)
    lose(harness, store)

    fail(breaker)

    assert not harness.admitted(breaker)


def test_open_stays_open_for_the_rest_of_its_wait(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker(
        failure_threshold=1, recovery_timeout=10, success_threshold=1
    )
    fail(breaker)
    rest = breaker.snapshot().retry_after
    lose(harness, store)
    harness.clock.advance(rest - 0.4)
    assert not harness.admitted(breaker)
    harness.clock.advance(0.2)

    assert succeed(breaker) == "result"
    assert breaker.snapshot().state is State.CLOSED


def test_half_open_waits_for_the_probe_that_others_may_have_under_way(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker(failure_threshold=1, lease_seconds=12)
    fail(breaker)
    harness.clock.advance(60)
    breaker.acquire()
    lose(harness, store)
    assert not harness.admitted(breaker)
    harness.clock.advance(12)

    assert breaker.acquire().probe
    # Whose probe that was, nobody knows; it is not counted as lost.
    assert harness.observer.lost == 0


@pytest.mark.parametrize(
    ("action", "passes"),
    [(Action.FORCE_OPEN, False), (Action.DISABLE, True), (Action.OBSERVE, True)],
)
def test_an_operators_mode_stays(
    harness: StoreHarness, store: FlakyStore, action: Action, *, passes: bool
) -> None:
    breaker = harness.breaker(failure_threshold=1)
    breaker.operate(action=action, actor="ann", reason="x")
    lose(harness, store)
    harness.clock.advance(3600)
    if passes:
        fail(breaker)

    assert harness.admitted(breaker) is passes


def test_what_happened_alone_is_forgotten_when_the_store_is_back(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker(failure_threshold=2)
    succeed(breaker)
    lose(harness, store)
    alone = breaker.acquire()
    fail(breaker)
    fail(breaker)
    assert not harness.admitted(breaker)
    bring_back(harness, store)

    assert succeed(breaker) == "result"
    assert harness.look().failures == 0
    # Let through while alone, in the store's own era: it counts there.
    alone.settle(RuntimeError())
    assert harness.look().failures == 1
    assert harness.observer.transitions == []
    assert harness.observer.up[0] is True
    assert False in harness.observer.up
    assert harness.observer.up[-1] is True


def test_a_call_let_through_by_the_stand_in_decides_nothing_in_the_store(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker(failure_threshold=1, success_threshold=1)
    succeed(breaker)
    lose(harness, store)
    fail(breaker)
    harness.clock.advance(60)
    probe = breaker.acquire()
    assert probe.probe
    bring_back(harness, store)

    probe.settle(RuntimeError())

    assert harness.state() is State.CLOSED
    assert harness.look().failures == 0


def test_operators_are_told(harness: StoreHarness, store: FlakyStore) -> None:
    breaker = harness.breaker()
    store.is_away = True

    with pytest.raises(StoreUnavailableError):
        breaker.operate(action=Action.FORCE_OPEN, actor="ann", reason="x")
    with pytest.raises(StoreUnavailableError):
        breaker.restore(mode=Mode.OBSERVE, actor="ann", reason="x")

    assert succeed(breaker) == "result"


def test_a_store_that_comes_back_empty_gets_the_mode_again(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker()
    breaker.operate(action=Action.FORCE_OPEN, actor="ann", reason="moved")
    lose(harness, store)
    assert not harness.admitted(breaker)
    store.wipe()
    bring_back(harness, store)

    with pytest.raises(CircuitBreakerOpen, match="moved"):
        succeed(breaker)

    assert harness.look().mode is Mode.FORCED_OPEN
    assert [t.cause for t in harness.observer.transitions] == ["force_open", "restored"]


def test_a_view_of_long_ago_gives_no_mode_back(
    harness: StoreHarness, store: FlakyStore
) -> None:
    idle = harness.breaker()
    idle.operate(action=Action.FORCE_OPEN, actor="ann", reason="moved")
    harness.clock.advance(3600)
    store.wipe()

    # Somebody else may have left the mode meanwhile; the row in the database knows.
    assert succeed(idle) == "result"
    assert harness.look().mode is Mode.AUTO


def test_a_failure_that_meets_an_emptied_store_heals_the_mode_too(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker(failure_threshold=1)
    breaker.operate(action=Action.OBSERVE, actor="ann", reason="new")
    permit = breaker.acquire()
    store.wipe()

    permit.settle(RuntimeError())

    assert harness.look().mode is Mode.OBSERVE


def test_a_circuit_tripped_in_an_emptied_store_is_told_beside_the_mode(
    harness: StoreHarness, store: FlakyStore
) -> None:
    breaker = harness.breaker()
    breaker.operate(action=Action.OBSERVE, actor="ann", reason="new")
    store.wipe()

    breaker.trip(reason="please wait")

    told = [t.cause for t in harness.observer.transitions]
    assert told == ["observe", "tripped", "restored"]


def test_losing_and_finding_the_store_is_logged_once(
    harness: StoreHarness, store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    breaker = harness.breaker()
    lose(harness, store)
    for _ in range(10):
        succeed(breaker)
        harness.clock.advance(0.3)
    bring_back(harness, store)
    succeed(breaker)

    events = [record.message for record in caplog.records]
    assert events.count("breaker.store_lost") == 1
    assert events.count("breaker.store_back") == 1

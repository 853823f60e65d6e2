"""Listeners, two steps, threads, tasks, rates and clocks over any store."""

from __future__ import annotations

import asyncio
import time

import pytest

from resilience.states import Action, Mode, State
from tests.resilience.clockwork import (
    BoomError,
    StoreHarness,
    fail,
    in_threads,
    succeed,
    trip,
)

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


class FurtherContract:
    """Subclasses give `harness`: a store under a clock that the test moves."""

    def test_e1_each_transition_is_told_once_and_in_order(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, success_threshold=1)
        trip(breaker)
        harness.clock.advance(60)
        fail(breaker)
        harness.clock.advance(120)
        succeed(breaker)

        told = harness.observer.transitions
        assert harness.observer.changes == [
            (CLOSED, OPEN),
            (OPEN, HALF_OPEN),
            (HALF_OPEN, OPEN),
            (OPEN, HALF_OPEN),
            (HALF_OPEN, CLOSED),
        ]
        epochs = [transition.epoch for transition in told]
        assert epochs == sorted(set(epochs))
        logged = harness.store.log(name="dep", after="0-0")
        assert [entry.transition for entry in logged] == told

    def test_e1_a_listener_may_use_the_breaker(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=1)
        seen: list[State] = []
        harness.observer.on_transition = lambda _: seen.append(breaker.snapshot().state)

        trip(breaker)

        assert seen == [OPEN]

    def test_p1_results_reported_later_count_once(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=3)
        permits = [breaker.acquire() for _ in range(3)]
        permits[0].settle(BoomError())
        permits[0].settle(BoomError())
        permits[0].settle(None)
        permits[1].settle(BoomError())
        assert harness.state() is CLOSED
        assert harness.look().failures == 2

        permits[2].settle(BoomError())

        assert harness.state() is OPEN

    def test_x1_guarded_calls_run_in_parallel(self, harness: StoreHarness) -> None:
        breaker = harness.breaker()
        started = time.monotonic()

        in_threads(8, lambda _: breaker.call(lambda: time.sleep(0.1)))

        assert time.monotonic() - started < 0.4

    def test_a1_a_cancelled_call_is_not_a_failure(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=3)

        async def cancelled_call() -> None:
            entered = asyncio.Event()

            @breaker
            async def hang() -> None:
                entered.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(hang())
            await asyncio.wait_for(entered.wait(), timeout=5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        for _ in range(3):
            asyncio.run(cancelled_call())

        assert harness.state() is CLOSED
        assert harness.look().failures_total == 0
        assert harness.observer.outcomes == {"ignored": 3}

    def test_the_dependencys_own_retry_after_sets_the_wait(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, recovery_timeout=60)

        breaker.acquire().settle(BoomError(), retry_after=7)
        assert harness.look().retry_after == pytest.approx(7, abs=0.001)
        breaker.operate(action=Action.RESET, actor="ann", reason="again")
        breaker.trip(retry_after=90, reason="429 for the application")
        assert harness.look().retry_after == pytest.approx(90, abs=0.001)
        assert harness.look().reason == "429 for the application"
        breaker.operate(action=Action.RESET, actor="ann", reason="again")
        breaker.trip(retry_after=86_400)
        assert harness.look().retry_after == pytest.approx(600, abs=0.001)

    def test_a_rate_trips_by_the_share_within_its_window(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_rate=0.5, minimum_calls=10, window=30)
        for _ in range(9):
            fail(breaker)
        assert harness.state() is CLOSED
        harness.clock.advance(31)
        for _ in range(6):
            succeed(breaker)
        for _ in range(5):
            fail(breaker)
        assert harness.state() is CLOSED
        fail(breaker)
        assert harness.state() is OPEN

    @pytest.mark.parametrize(("buckets", "expected"), [(9, OPEN), (10, CLOSED)])
    def test_a_call_leaves_the_window_with_its_bucket(
        self, harness: StoreHarness, buckets: int, expected: State
    ) -> None:
        breaker = harness.breaker(failure_rate=1.0, minimum_calls=2, window=10)
        fail(breaker)
        harness.clock.advance(buckets)
        fail(breaker)

        assert harness.state() is expected

    def test_late_successes_do_not_dilute_the_rate_of_a_new_era(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_rate=0.5, minimum_calls=2, window=10)
        for _ in range(8):
            succeed(breaker)
        harness.breaker().operate(action=Action.RESET, actor="ann", reason="anew")
        fail(breaker)
        harness.clock.advance(0.3)
        fail(breaker)
        fail(breaker)

        assert harness.state() is OPEN

    def test_a_slow_success_is_a_failure(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=2, slow_call_seconds=2)

        for _ in range(2):
            breaker.call(lambda: harness.clock.advance(2.1))

        assert harness.state() is OPEN

    def test_a_store_clock_set_back_does_not_lock_the_circuit(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(
            failure_threshold=1,
            recovery_timeout=10,
            recovery_cap=10,
            success_threshold=1,
            lease_seconds=10,
        )
        trip(breaker)
        harness.clock.set_store_back(86_400)
        harness.clock.advance(0.3)
        assert not harness.admitted(breaker)
        harness.clock.advance(10)
        assert breaker.acquire().probe

        harness.clock.set_store_back(86_400)
        harness.clock.advance(0.3)
        assert not harness.admitted(breaker)
        harness.clock.advance(10)
        assert succeed(breaker) == "result"
        assert harness.state() is CLOSED

    def test_several_probes_share_the_half_open_state(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(
            failure_threshold=1, half_open_probes=2, success_threshold=2
        )
        trip(breaker)
        harness.clock.advance(60)
        first, second = breaker.acquire(), breaker.acquire()
        assert not harness.admitted(breaker)

        first.settle(None)
        second.settle(None)

        assert harness.state() is CLOSED

    def test_every_operator_action_is_logged_with_who_and_why(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker()
        for action in Action:
            breaker.operate(action=action, actor="ann", reason=f"because of {action}")

        logged = [e.transition for e in harness.store.log(name="dep", after="0-0")]
        assert [(t.cause, t.actor, t.reason) for t in logged] == [
            (str(action), "ann", f"because of {action}") for action in Action
        ]
        assert [t.new_mode for t in logged] == [
            Mode.FORCED_OPEN,
            Mode.DISABLED,
            Mode.OBSERVE,
            Mode.AUTO,
            Mode.AUTO,
        ]
        assert harness.store.last_entry(name="dep")
        assert harness.store.names() == ["dep"]

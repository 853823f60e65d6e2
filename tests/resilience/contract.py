"""What a breaker does over any store. Ids are those of the table of behaviours."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.states import Action, Mode, State
from tests.resilience.clockwork import (
    BizChildError,
    BizError,
    BoomError,
    StoreHarness,
    fail,
    in_threads,
    succeed,
)

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


def trip(breaker: CircuitBreaker) -> None:
    """Fail until the circuit opens."""
    for _ in range(breaker.policy.failure_threshold):
        assert isinstance(fail(breaker), BoomError)


class BreakerContract:
    """Subclasses give `harness`: a store under a clock that the test moves."""

    # Closed

    def test_c1_success_returns_the_result_and_stays_closed(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker()

        assert breaker.call(lambda: 42) == 42
        assert harness.state() is CLOSED

    def test_c2_failures_below_the_threshold_stay_closed(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3)
        errors = [BoomError("first"), BoomError("second")]

        assert [fail(breaker, error) for error in errors] == errors
        assert harness.look().failures == 2
        assert harness.state() is CLOSED
        assert succeed(breaker) == "result"

    def test_c3_the_third_failure_in_a_row_opens(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=3)
        trip(breaker)
        ran: list[bool] = []

        with pytest.raises(CircuitBreakerOpen):
            breaker.call(lambda: ran.append(True))

        assert ran == []
        assert harness.state() is OPEN

    def test_c4_the_tripping_call_gets_its_own_exception(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3)
        fail(breaker)
        fail(breaker)
        last = BoomError("the third")

        assert fail(breaker, last) is last
        assert harness.state() is OPEN

    def test_c5_a_success_ends_the_streak(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=3)

        fail(breaker)
        fail(breaker)
        succeed(breaker)
        fail(breaker)
        fail(breaker)

        assert harness.state() is CLOSED
        assert harness.look().failures == 2

    def test_c6_an_excluded_exception_and_its_kinds_do_not_count(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3, ignore=(BizError,))
        errors = [BizError(), BizError(), BizError(), BizError(), BizChildError()]

        assert [fail(breaker, error) for error in errors] == errors
        assert harness.state() is CLOSED
        assert harness.look().failures_total == 0

    def test_c7_an_ignored_error_does_not_erase_a_streak(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3, ignore=(BizError,))

        fail(breaker)
        fail(breaker)
        fail(breaker, BizError())
        fail(breaker)

        assert harness.state() is OPEN

    def test_c8_an_interrupt_is_not_a_failure(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=3)

        for interrupt in (KeyboardInterrupt(), SystemExit(), GeneratorExit()):
            assert fail(breaker, interrupt) is interrupt

        assert harness.state() is CLOSED
        assert harness.look().failures_total == 0

    # Open

    def test_o1_a_rejection_says_when_to_retry(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=1, recovery_timeout=60)
        trip(breaker)

        errors = []
        for _ in range(5):
            with pytest.raises(CircuitBreakerOpen) as caught:
                succeed(breaker)
            errors.append(caught.value)
            harness.clock.advance(7)

        waits = [error.retry_after for error in errors]
        assert all(0 < wait <= 60 for wait in waits)
        # A promise that shrinks as time passes, within the tenth that jitter takes.
        assert waits[0] >= 54
        assert waits[0] - waits[4] == pytest.approx(28, abs=0.01)
        assert waits[4] <= errors[4].countdown() <= waits[4] * 1.25
        assert errors[4].state == "open"

    def test_o2_after_the_wait_a_success_closes(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(
            failure_threshold=1, recovery_timeout=10, success_threshold=1
        )
        trip(breaker)
        harness.clock.advance(8.9)
        assert not harness.admitted(breaker)
        harness.clock.advance(1.1)

        assert succeed(breaker) == "result"
        assert harness.state() is CLOSED

    def test_o3_a_late_success_of_an_older_era_is_dropped(
        self, harness: StoreHarness
    ) -> None:
        slow, quick = (
            harness.breaker(failure_threshold=1, success_threshold=1) for _ in "ab"
        )
        late, later = slow.acquire(), slow.acquire()
        trip(quick)
        late.settle(None)
        assert harness.state() is OPEN

        # Nor does one count in the next closed era, for good or ill.
        harness.clock.advance(60)
        succeed(quick)
        assert harness.state() is CLOSED
        later.settle(BoomError())
        assert harness.state() is CLOSED

    # Half open

    def test_h1_a_failing_probe_opens_for_a_full_period(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3, recovery_timeout=10)
        trip(breaker)
        harness.clock.advance(10)
        probe = breaker.acquire()
        assert harness.state() is HALF_OPEN
        harness.clock.advance(5)
        own = BoomError("the probe's own")

        probe.settle(own)

        assert harness.state() is OPEN
        assert harness.look().retry_after >= 18
        assert not harness.admitted(breaker)

    def test_h1_the_probes_caller_gets_its_own_exception(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, recovery_timeout=10)
        trip(breaker)
        harness.clock.advance(10)
        own = BoomError("the probe's own")

        assert fail(breaker, own) is own
        assert harness.state() is OPEN

    def test_h2_only_one_of_eight_runs_while_undecided(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, half_open_probes=1)
        trip(breaker)
        harness.clock.advance(60)
        running, release = threading.Event(), threading.Event()
        ran: list[int] = []
        rejected: list[CircuitBreakerOpen] = []
        all_decided = threading.Semaphore(0)

        def work(number: int) -> None:
            def guarded() -> None:
                ran.append(number)
                running.set()
                assert release.wait(timeout=10)

            try:
                breaker.call(guarded)
            except CircuitBreakerOpen as error:
                rejected.append(error)
                all_decided.release()

        def watch() -> None:
            for _ in range(7):
                assert all_decided.acquire(timeout=10)
            assert running.wait(timeout=10)
            assert len(ran) == 1
            release.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        in_threads(8, work)
        watcher.join(timeout=10)

        assert release.is_set()
        assert len(ran) == 1
        assert [error.state for error in rejected] == ["half_open"] * 7

    def test_h2_another_process_is_refused_while_undecided(
        self, harness: StoreHarness
    ) -> None:
        one, other = (harness.breaker(failure_threshold=1) for _ in "ab")
        trip(one)
        harness.clock.advance(60)

        assert one.acquire().probe
        assert not harness.admitted(other)

    def test_h3_the_second_success_closes(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(failure_threshold=1, success_threshold=2)
        trip(breaker)
        harness.clock.advance(60)

        succeed(breaker)
        assert harness.state() is HALF_OPEN
        succeed(breaker)
        assert harness.state() is CLOSED

    def test_h4_an_ignored_probe_frees_its_slot(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(
            failure_threshold=1, success_threshold=1, ignore=(BizError,)
        )
        trip(breaker)
        harness.clock.advance(60)

        fail(breaker, BizError())
        assert harness.state() is HALF_OPEN
        probe = breaker.acquire()
        assert probe.probe
        assert not harness.admitted(breaker)
        probe.settle(None)
        assert harness.state() is CLOSED

    def test_h6_a_probe_that_never_returns_gives_way_after_its_lease(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(
            failure_threshold=1, success_threshold=1, lease_seconds=12
        )
        trip(breaker)
        harness.clock.advance(60)
        lost = breaker.acquire()
        harness.clock.advance(11.9)
        assert not harness.admitted(breaker)
        harness.clock.advance(0.2)

        second = breaker.acquire()

        assert second.probe
        assert harness.observer.lost == 1
        # The late result of the lost probe decides nothing, whatever it is.
        lost.settle(BoomError())
        assert harness.state() is HALF_OPEN
        second.settle(None)
        assert harness.state() is CLOSED

    def test_h8_the_old_count_is_gone_after_recovery(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3, success_threshold=1)
        trip(breaker)
        harness.clock.advance(60)
        succeed(breaker)

        fail(breaker)
        fail(breaker)

        assert harness.state() is CLOSED
        assert harness.look().opens == 0

    def test_h9_after_a_failed_probe_the_first_period_is_too_short(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, recovery_timeout=10)
        trip(breaker)
        harness.clock.advance(10)
        fail(breaker)

        harness.clock.advance(10)

        assert not harness.admitted(breaker)
        assert harness.state() is OPEN

    def test_h9_the_wait_doubles_up_to_its_cap(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(
            failure_threshold=1, recovery_timeout=10, recovery_cap=35
        )
        trip(breaker)
        waits = [harness.look().retry_after]
        for _ in range(3):
            harness.clock.advance(waits[-1])
            fail(breaker)
            waits.append(harness.look().retry_after)

        # Jitter takes up to a tenth, and never adds.
        for wait, full in zip(waits, [10, 20, 35, 35], strict=True):
            assert full * 0.9 <= wait <= full

    # Operators

    def test_m1_forced_open_holds_until_reset(self, harness: StoreHarness) -> None:
        breaker = harness.breaker(recovery_timeout=10)
        breaker.operate(action=Action.FORCE_OPEN, actor="ann", reason="maintenance")

        harness.clock.advance(3600)
        with pytest.raises(CircuitBreakerOpen) as caught:
            succeed(breaker)
        assert caught.value.state == "forced_open"
        assert caught.value.reason == "maintenance"
        assert 0 < caught.value.retry_after <= 10
        assert not harness.admitted(harness.breaker())

        breaker.operate(action=Action.RESET, actor="ann", reason="done")
        assert succeed(breaker) == "result"
        assert harness.look().mode is Mode.AUTO
        assert harness.state() is CLOSED

    def test_m2_after_an_operator_closes_a_full_threshold_is_needed(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=3)
        trip(breaker)

        breaker.operate(action=Action.RESET, actor="ann", reason="fixed")

        assert succeed(breaker) == "result"
        fail(breaker)
        fail(breaker)
        assert harness.state() is CLOSED
        fail(breaker)
        assert harness.state() is OPEN

    def test_leaving_a_mode_returns_to_what_the_machine_knows(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=1, recovery_timeout=60)
        trip(breaker)
        breaker.operate(action=Action.DISABLE, actor="ann", reason="let it through")
        assert succeed(breaker) == "result"
        fail(breaker)
        assert harness.look().failures_total == 1

        breaker.operate(action=Action.AUTO, actor="ann", reason="enough")

        assert harness.state() is OPEN
        assert not harness.admitted(breaker)

    def test_observe_counts_and_opens_but_refuses_nobody(
        self, harness: StoreHarness
    ) -> None:
        breaker = harness.breaker(failure_threshold=2, success_threshold=1)
        breaker.operate(action=Action.OBSERVE, actor="ann", reason="new vendor")

        for _ in range(5):
            assert isinstance(fail(breaker), BoomError)
        assert harness.state() is OPEN
        assert harness.look().failures_total == 2
        harness.clock.advance(60)
        assert succeed(breaker) == "result"

        assert harness.state() is CLOSED
        assert harness.observer.outcomes.get("rejected") is None

    # Events, two steps, threads, tasks

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

    # Further decisions

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

"""How a breaker recovers over any store, and what operators do to it."""

from __future__ import annotations

import threading

import pytest

from resilience.errors import CircuitBreakerOpen
from resilience.states import Action, Mode, State
from tests.resilience.clockwork import (
    BizError,
    BoomError,
    StoreHarness,
    fail,
    in_threads,
    succeed,
    trip,
)

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


class RecoveryContract:
    """Subclasses give `harness`: a store under a clock that the test moves."""

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

        # Failures first: a success would hide a count that was kept.
        assert isinstance(fail(breaker), BoomError)
        assert isinstance(fail(breaker), BoomError)
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

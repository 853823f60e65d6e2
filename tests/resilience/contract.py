"""What a closed and an open breaker do over any store. Ids: the table of behaviours."""

from __future__ import annotations

import pytest

from resilience.errors import CircuitBreakerOpen
from resilience.states import State
from tests.resilience.clockwork import (
    BizChildError,
    BizError,
    BoomError,
    StoreHarness,
    fail,
    succeed,
    trip,
)

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


class ClosedAndOpenContract:
    """Subclasses give `harness`: a store under a clock that the test moves."""

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

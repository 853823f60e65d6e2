"""Every way to put a breaker around a call."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import AsyncIterator, Iterator

import pytest

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.states import State
from tests.resilience.clockwork import BoomError, StoreHarness, fail, memory_harness


@pytest.fixture
def harness() -> StoreHarness:
    return memory_harness()


def test_with(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=1)

    with breaker as permit:
        assert not permit.probe
    with pytest.raises(BoomError), breaker:
        raise BoomError
    with pytest.raises(CircuitBreakerOpen), breaker:
        pytest.fail("the block ran")


def test_async_with(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=1)

    async def use() -> None:
        async with breaker as permit:
            assert not permit.probe
        with pytest.raises(BoomError):
            async with breaker:
                raise BoomError
        with pytest.raises(CircuitBreakerOpen):
            async with breaker:
                pytest.fail("the block ran")

    asyncio.run(use())


def test_a_permit_is_a_block_of_its_own(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=2)

    async def use() -> None:
        async with breaker.acquire():
            raise BoomError

    with pytest.raises(BoomError), breaker.acquire():
        raise BoomError
    with pytest.raises(BoomError):
        asyncio.run(use())
    assert harness.state() is State.OPEN


def test_decorated_functions_keep_name_arguments_and_kind(
    harness: StoreHarness,
) -> None:
    breaker = harness.breaker(failure_threshold=1)

    @breaker
    def plain(left: int, *, right: int) -> int:
        """Add."""
        return left + right

    @breaker
    async def later(value: int) -> int:
        if not value:
            raise BoomError
        return value

    assert (plain.__name__, plain.__doc__) == ("plain", "Add.")
    assert plain(1, right=2) == 3
    assert asyncio.run(later(5)) == 5
    with pytest.raises(BoomError):
        asyncio.run(later(0))
    with pytest.raises(CircuitBreakerOpen):
        plain(1, right=2)
    with pytest.raises(CircuitBreakerOpen):
        asyncio.run(later(5))


def test_generators_are_refused_since_their_body_would_run_unguarded(
    harness: StoreHarness,
) -> None:
    def items() -> Iterator[int]:
        yield 1

    async def later_items() -> AsyncIterator[int]:
        yield 1

    for function in (items, later_items):
        with pytest.raises(TypeError, match="generator"):
            harness.breaker()(function)


def test_two_generators_side_by_side_settle_each_their_own(
    harness: StoreHarness,
) -> None:
    """The way that the refusal of a decorated generator names."""
    first, second = harness.breaker("a"), harness.breaker("b")

    def items(breaker: CircuitBreaker) -> Iterator[int]:
        with breaker.acquire():
            yield 1
            raise BoomError

    with pytest.raises(BoomError):
        list(zip(items(first), items(second), strict=True))
    assert harness.look("a").failures == 1
    assert harness.look("b").failures == 0


@pytest.mark.parametrize("wait", [float("inf"), 1e300])
def test_a_wish_without_end_is_cut_by_the_cap(
    harness: StoreHarness, wait: float
) -> None:
    breaker = harness.breaker(failure_threshold=1, recovery_cap=90)
    breaker.acquire().settle(BoomError(), retry_after=wait)

    assert harness.look().retry_after == pytest.approx(90)


def test_a_wish_travels_from_async_code_too(harness: StoreHarness) -> None:
    async def fails() -> None:
        breaker = harness.breaker(failure_threshold=1)
        permit = await breaker.aacquire()
        await permit.asettle(BoomError(), retry_after=33)

    asyncio.run(fails())
    assert harness.look().retry_after == pytest.approx(33)


def test_call_refuses_a_coroutine_and_counts_nothing(harness: StoreHarness) -> None:
    breaker = harness.breaker()

    async def later() -> None:
        pytest.fail("it ran")

    with pytest.raises(TypeError, match="decorate"):
        _ = breaker.call(later)
    breaker.flush()
    assert harness.observer.outcomes == {"ignored": 1}


def test_call_passes_arguments(harness: StoreHarness) -> None:
    assert harness.breaker().call(divmod, 7, 2) == (3, 1)
    assert harness.breaker().call(dict, function=1) == {"function": 1}


def test_blocks_nest_in_themselves_and_in_other_circuits(
    harness: StoreHarness,
) -> None:
    outer, inner = (
        harness.breaker(name, failure_threshold=2) for name in ("outer", "inner")
    )

    with outer, outer, pytest.raises(BoomError), inner, inner:
        raise BoomError

    assert harness.look("inner").failures_total == 2
    assert harness.state("inner") is State.OPEN
    assert harness.state("outer") is State.CLOSED


def test_tasks_of_one_loop_do_not_mix_up_their_blocks(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=100)

    async def one(number: int, turn: asyncio.Event) -> None:
        with breaker:
            await turn.wait()
            if number % 2:
                raise BoomError

    async def use() -> list[BaseException | None]:
        turn = asyncio.Event()
        tasks = [asyncio.create_task(one(number, turn)) for number in range(10)]
        await asyncio.sleep(0)
        turn.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(use())

    assert [type(result) for result in results] == [type(None), BoomError] * 5
    breaker.flush()
    assert harness.observer.outcomes == {"success": 5, "failure": 5}


def test_a_block_left_in_another_context_is_an_error_that_says_what_to_do(
    harness: StoreHarness,
) -> None:
    breaker = harness.breaker()
    contextvars.copy_context().run(breaker.__enter__)

    with pytest.raises(RuntimeError, match="acquire"):
        breaker.__exit__(None, None, None)


def test_one_breaker_serves_many_event_loops(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=3)

    async def use(error: Exception | None) -> None:
        async with breaker:
            if error:
                raise error

    for _ in range(2):
        asyncio.run(use(None))
        with pytest.raises(BoomError):
            asyncio.run(use(BoomError()))

    assert harness.look().failures_total == 2


def test_the_rejection_survives_copies_and_tells_everything() -> None:
    error = CircuitBreakerOpen("kafka", "open", 12.5, "failures")

    again = copy.copy(error)

    assert (again.name, again.state, again.retry_after, again.reason) == (
        "kafka",
        "open",
        12.5,
        "failures",
    )
    assert "kafka" in str(again)
    assert "12.5" in str(again)
    waits = {error.countdown() for _ in range(50)}
    assert len(waits) > 40
    assert all(12.5 <= wait <= 12.5 * 1.25 for wait in waits)


def test_a_snapshot_tells_what_the_admin_shows(harness: StoreHarness) -> None:
    breaker = harness.breaker(failure_threshold=2, recovery_timeout=60)
    fail(breaker)
    harness.clock.advance(5)
    fail(breaker)
    harness.clock.advance(2)

    snapshot = asyncio.run(breaker.asnapshot())

    assert (snapshot.state, snapshot.mode) == ("open", "auto")
    assert snapshot.since.isoformat() == "2026-01-01T00:00:05+00:00"
    assert 50 < snapshot.retry_after <= 58
    assert (snapshot.failures, snapshot.opens, snapshot.reason) == (2, 1, "failures")
    assert snapshot.store_up

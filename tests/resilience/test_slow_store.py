"""A store that takes its time stops no event loop, and cancelling loses nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resilience.protocol import Question, Reply
from resilience.states import State
from resilience.storage.memory import MemoryStore
from tests.resilience.clockwork import BoomError, StoreHarness, fail, memory_harness


@pytest.fixture
def harness() -> StoreHarness:
    return memory_harness()


class SlowStore(MemoryStore):
    """Waits for the test before it answers."""

    def __init__(self, harness: StoreHarness) -> None:
        super().__init__(now_ms=harness.clock.store_ms)
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def decide(self, *questions: Question) -> list[Reply]:
        self.asked.set()
        assert self.go_on.wait(timeout=10)
        return super().decide(*questions)


def test_a_store_that_is_slow_does_not_stop_the_event_loop(
    harness: StoreHarness,
) -> None:
    store = harness.store = SlowStore(harness)
    breaker = harness.breaker(failure_threshold=1)
    store.go_on.clear()

    async def use() -> int:
        async def failing() -> None:
            async with breaker:
                raise BoomError

        task = asyncio.create_task(failing())
        assert await asyncio.to_thread(store.asked.wait, 10)
        turns = [await asyncio.sleep(0, number) for number in range(50)]
        store.go_on.set()
        with pytest.raises(BoomError):
            await task
        return len(turns)

    assert asyncio.run(use()) == 50
    assert harness.state() is State.OPEN


@pytest.mark.parametrize("moment", ["waiting", "won"])
def test_a_probe_won_by_a_cancelled_task_is_given_back(
    harness: StoreHarness, moment: str
) -> None:
    store = harness.store = SlowStore(harness)
    breaker = harness.breaker(failure_threshold=1, success_threshold=1)
    fail(breaker)
    harness.clock.advance(60)
    store.asked.clear()
    store.go_on.clear()

    async def use() -> None:
        task = asyncio.create_task(breaker.aacquire())
        assert await asyncio.to_thread(store.asked.wait, 10)
        if moment == "waiting":
            task.cancel()
            await asyncio.sleep(0)
            store.go_on.set()
        else:
            store.go_on.set()
            # The thread is done, the task has not yet run on.
            deadline = time.monotonic() + 5
            while store_state(harness) is not State.HALF_OPEN:
                assert time.monotonic() < deadline
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(200):
            await asyncio.sleep(0.001)
            if harness.look().retry_after == 0:
                return

    asyncio.run(use())

    assert breaker.acquire().probe


def store_state(harness: StoreHarness) -> State:
    return harness.look().state


@pytest.mark.parametrize("moment", ["queued", "under way"])
def test_a_failure_is_reported_even_if_its_task_is_cancelled_meanwhile(
    harness: StoreHarness, moment: str
) -> None:
    store = harness.store = SlowStore(harness)
    breaker = harness.breaker(failure_threshold=1)

    async def use() -> None:
        loop = asyncio.get_running_loop()
        permit = breaker.acquire()
        store.asked.clear()
        store.go_on.clear()
        pool = ThreadPoolExecutor(max_workers=1 if moment == "queued" else 2)
        loop.set_default_executor(pool)
        busy = loop.run_in_executor(None, store.go_on.wait, 10)
        task = asyncio.create_task(permit.asettle(BoomError()))
        await asyncio.sleep(0)
        if moment == "under way":
            with ThreadPoolExecutor(max_workers=1) as own:
                assert await loop.run_in_executor(own, store.asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.go_on.set()
        await busy

    asyncio.run(use())

    assert harness.state() is State.OPEN

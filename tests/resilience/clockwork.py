"""Time, stores and observers that a test controls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.policy import BreakerPolicy
from resilience.protocol import Store, Transition, View
from resilience.snapshot import Snapshot
from resilience.states import State
from resilience.storage.memory import MemoryStore
from resilience.storage.redis import SCRIPT, RedisStore

# 2026-01-01, so that epochs and times of day look like real ones.
START_MS = 1_767_225_600_000
CLOCK_KEY = "test-clock"


class BoomError(Exception):
    """The dependency failed."""


class BizError(Exception):
    """The dependency has nothing to do with it."""


class BizChildError(BizError):
    """A kind of `BizError`."""


class FakeClock:
    """The monotonic clock of the workers and the clock of the store, moved by hand."""

    def __init__(self) -> None:
        self.elapsed_ms = 0
        self.shift_ms = 0
        self.watchers: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.elapsed_ms / 1000

    def store_ms(self) -> int:
        return START_MS + self.elapsed_ms + self.shift_ms

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.elapsed_ms += round(seconds * 1000)
        self._tell()

    def set_store_back(self, seconds: float) -> None:
        """Step the store's clock alone."""
        self.shift_ms -= round(seconds * 1000)
        self._tell()

    def _tell(self) -> None:
        for watcher in self.watchers:
            watcher()


@dataclass
class RecordingObserver:
    """Remembers what it was told."""

    seconds: list[float] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    up: list[bool] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    on_transition: Callable[[Transition], None] | None = None

    def _add(self, outcome: str, count: int) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count

    def succeeded(self, *, name: str, seconds: Sequence[float]) -> None:
        self.seconds.extend(seconds)
        self._add("success", len(seconds))

    def failed(self, *, name: str, seconds: float) -> None:
        self._add("failure", 1)

    def ignored(self, *, name: str, seconds: float) -> None:
        self._add("ignored", 1)

    def rejected(self, *, name: str, count: int) -> None:
        self._add("rejected", count)

    def probes_lost(self, *, name: str, count: int) -> None:
        self.lost += count

    def viewed(self, *, name: str, view: View) -> None:
        self.views.append(view)

    def store_up(self, *, up: bool) -> None:
        self.up.append(up)

    def transitioned(self, *, transition: Transition) -> None:
        self.transitions.append(transition)
        if self.on_transition is not None:
            self.on_transition(transition)

    @property
    def changes(self) -> list[tuple[State, State]]:
        return [(t.old_state, t.new_state) for t in self.transitions]


class StoreHarness:
    """One store under a fake clock, and the breakers over it."""

    def __init__(
        self,
        store: Store,
        clock: FakeClock,
        *,
        wipe: Callable[[], object] = lambda: None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.wipe = wipe
        self.observer = RecordingObserver()

    def breaker(self, name: str = "dep", **policy: Any) -> CircuitBreaker:
        """Make a breaker as another process would hold it: same store, own view."""
        return CircuitBreaker(
            name=name,
            policy=BreakerPolicy(**policy),
            store=self.store,
            observer=self.observer,
            clock=self.clock,
            wall_ms=self.clock.store_ms,
        )

    def look(self, name: str = "dep") -> Snapshot:
        """Return what a process sees that has never asked before."""
        return self.breaker(name).snapshot()

    def state(self, name: str = "dep") -> State:
        """Return the state as a newcomer sees it."""
        return self.look(name).state

    def admitted(self, breaker: CircuitBreaker) -> bool:
        """Return whether a call passes; whatever it was given is not settled."""
        try:
            breaker.acquire()
        except CircuitBreakerOpen:
            return False
        return True


def memory_harness() -> StoreHarness:
    """Return the memory store under a fake clock."""
    clock = FakeClock()
    return StoreHarness(MemoryStore(now_ms=clock.store_ms), clock)


def redis_harness(url: str) -> StoreHarness:
    """Return the Redis store under a fake clock; the script differs in its clock alone."""
    clock = FakeClock()
    client = redis.Redis.from_url(url)

    def tell() -> None:
        seconds, milliseconds = divmod(clock.store_ms(), 1000)
        client.hset(CLOCK_KEY, mapping={"s": seconds, "us": milliseconds * 1000})

    clock.watchers.append(tell)
    tell()
    store = RedisStore(
        url=url, key_prefix="cb", timeout=10.0, clock=clock, script=clocked_script()
    )

    def wipe() -> None:
        client.flushdb()
        tell()

    return StoreHarness(store, clock, wipe=wipe)


def clocked_script() -> str:
    """Return the script with a clock that the test sets."""
    real, fake = "redis.call('TIME')", f"redis.call('HMGET', '{CLOCK_KEY}', 's', 'us')"
    assert SCRIPT.count(real) == 1
    return SCRIPT.replace(real, fake)


def fail(breaker: CircuitBreaker, error: BaseException | None = None) -> BaseException:
    """Make one guarded call that raises; return what its caller got."""
    raised = error or BoomError()

    def call() -> None:
        raise raised

    try:
        breaker.call(call)
    except BaseException as exc:  # noqa: BLE001 - the test judges what came out
        return exc
    msg = "a failing call returned"
    raise AssertionError(msg)


def trip(breaker: CircuitBreaker) -> None:
    """Fail until the circuit opens."""
    for _ in range(breaker.policy.failure_threshold):
        assert isinstance(fail(breaker), BoomError)


def succeed(breaker: CircuitBreaker) -> str:
    """Make one guarded call that works."""
    return breaker.call(lambda: "result")


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in threads that start together; wait for all of them."""
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait(timeout=10)
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()

"""The rules of the circuit, for one process: the memory store, and Redis' stand-in.

`storage/script.lua` is the same machine for the fleet. A test drives both side by side;
whoever changes one changes the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resilience.policy import WINDOW_BUCKETS
from resilience.protocol import Command, View
from resilience.states import Mode, State

if TYPE_CHECKING:
    from resilience.policy import BreakerPolicy

# Beyond this many doublings every cap has long been reached.
MAX_DOUBLINGS = 30


@dataclass(slots=True, kw_only=True)
class Machine:
    """One circuit. Not thread-safe: whoever holds it also holds a lock."""

    breaker: str
    epoch: int
    era: int
    since_ms: int
    mode_since_ms: int
    state: State = State.CLOSED
    mode: Mode = Mode.AUTO
    failures: int = 0
    successes: int = 0
    opens: int = 0
    failures_total: int = 0
    retry_at_ms: int = 0
    reason: str = ""
    mode_reason: str = ""
    leases: dict[str, int] = field(default_factory=dict)
    buckets: dict[int, tuple[int, int]] = field(default_factory=dict)
    # A stand-in numbers its own changes below zero: no store ever does, so a call
    # admitted by it cannot be taken for one of the store's.
    stand_in: bool = False

    @classmethod
    def fresh(cls, *, breaker: str, mode: Mode, now_ms: int) -> Machine:
        """Return a closed circuit whose epoch starts from the clock."""
        epoch = now_ms * 1000
        return cls(
            breaker=breaker,
            epoch=epoch,
            era=epoch,
            since_ms=now_ms,
            mode_since_ms=now_ms,
            mode=mode,
        )

    def view(self, *, policy: BreakerPolicy, now_ms: int) -> View:
        """Return the circuit as it looks at `now_ms`."""
        retry_after, free = 0, 0
        if self.state is State.OPEN:
            retry_after = max(0, self.retry_at_ms - now_ms)
        elif self.state is State.HALF_OPEN:
            live = [expiry for expiry in self.leases.values() if expiry > now_ms]
            free = max(0, policy.half_open_probes - len(live))
            retry_after = 0 if free else min(live) - now_ms
        return View(
            state=self.state,
            mode=self.mode,
            era=self.era,
            epoch=self.epoch,
            failures=self.failures,
            successes=self.successes,
            opens=self.opens,
            failures_total=self.failures_total,
            retry_after_ms=retry_after,
            free_probes=free,
            since_ms=self.since_ms,
            mode_since_ms=self.mode_since_ms,
            now_ms=now_ms,
            reason=self.reason,
            mode_reason=self.mode_reason,
        )

    def next_epoch(self, now_ms: int) -> int:
        """Return a number never used before, even if the store was emptied meanwhile."""
        if self.stand_in:
            return min(self.epoch, 0) - 1
        return max(self.epoch + 1, now_ms * 1000)

    def bound_deadlines(self, policy: BreakerPolicy, now_ms: int) -> None:
        """Keep a clock that was set back from locking a circuit or a probe slot."""
        if self.state is State.OPEN:
            limit = now_ms + to_ms(policy.recovery_cap)
            self.retry_at_ms = min(self.retry_at_ms, limit)
        elif self.state is State.HALF_OPEN:
            limit = now_ms + to_ms(policy.lease)
            self.leases = {t: min(e, limit) for t, e in self.leases.items()}

    def count(
        self, policy: BreakerPolicy, now_ms: int, *, calls: int, failures: int
    ) -> None:
        """Add calls to the rate window of a closed circuit."""
        if self.state is not State.CLOSED or not policy.by_rate:
            return
        live, last = self._live_buckets(policy, now_ms)
        old_calls, old_failures = live.get(last, (0, 0))
        live[last] = (old_calls + calls, old_failures + failures)
        self.buckets = live

    def _live_buckets(
        self, policy: BreakerPolicy, now_ms: int
    ) -> tuple[dict[int, tuple[int, int]], int]:
        last = now_ms // bucket_ms(policy)
        first = last - WINDOW_BUCKETS + 1
        live = {i: pair for i, pair in self.buckets.items() if first <= i <= last}
        return live, last

    def trips(self, policy: BreakerPolicy, now_ms: int) -> bool:
        """Return whether the failures counted so far open the circuit."""
        if policy.failure_rate is None:
            return self.failures >= policy.failure_threshold
        live, _ = self._live_buckets(policy, now_ms)
        calls = sum(pair[0] for pair in live.values())
        failures = sum(pair[1] for pair in live.values())
        return calls >= policy.minimum_calls and failures >= policy.failure_rate * calls


def to_ms(seconds: float) -> int:
    """Return whole milliseconds, at least one."""
    return max(1, round(seconds * 1000))


def bucket_ms(policy: BreakerPolicy) -> int:
    """Return the width of one bucket of the rate window."""
    return max(1, to_ms(policy.window) // WINDOW_BUCKETS)


def open_wait_ms(policy: BreakerPolicy, command: Command, *, earlier: int) -> int:
    """Return how long a circuit stays open that has opened `earlier` times in a row.

    The jitter only shortens: the wait is never above what callers were told.
    """
    cap = to_ms(policy.recovery_cap)
    if command.wait_ms > 0:
        return min(command.wait_ms, cap)
    doublings = min(earlier, MAX_DOUBLINGS)
    wait = min(to_ms(policy.recovery_timeout) * (1 << doublings), cap)
    return wait - wait * command.jitter // 10_000

"""The rules of the circuit, for one process: the memory store, and Redis' stand-in.

`storage/script.lua` is the same machine for the fleet. A test drives both side by side;
whoever changes one changes the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resilience.policy import WINDOW_BUCKETS
from resilience.protocol import Command, Op, Reply, Transition, View
from resilience.states import MODE_AFTER, Action, Mode, Outcome, State

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

    def decide(self, *, command: Command, policy: BreakerPolicy, now_ms: int) -> Reply:
        """Answer one command at `now_ms`."""
        self._bound_deadlines(policy, now_ms)
        if command.tally and command.tally_era == self.era:
            self.count(policy, now_ms, calls=command.tally, failures=0)
        step = _Step(self, command, policy, now_ms)
        _HANDLERS[command.op](step)
        return Reply(
            view=self.view(policy=policy, now_ms=now_ms),
            admitted=step.admitted,
            probe=step.probe,
            dropped=step.dropped,
            lost=step.lost,
            transition=step.transition,
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

    def _bound_deadlines(self, policy: BreakerPolicy, now_ms: int) -> None:
        # A clock that was set back must not lock a circuit or a probe slot.
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


class _Step:
    """One command being answered."""

    def __init__(
        self, machine: Machine, command: Command, policy: BreakerPolicy, now_ms: int
    ) -> None:
        self.machine = machine
        self.command = command
        self.policy = policy
        self.now_ms = now_ms
        self.admitted = False
        self.probe = False
        self.dropped = False
        self.lost = 0
        self.transition: Transition | None = None

    def look(self) -> None:
        """Change nothing."""

    def acquire(self) -> None:
        machine = self.machine
        if machine.mode in {Mode.FORCED_OPEN, Mode.DISABLED}:
            self.admitted = machine.mode is Mode.DISABLED
            return
        if machine.state is State.OPEN and self.now_ms >= machine.retry_at_ms:
            self._go(State.HALF_OPEN, cause="elapsed")
        if machine.state is State.CLOSED:
            self.admitted = True
        elif machine.state is State.HALF_OPEN:
            self._grant_lease()

    def _grant_lease(self) -> None:
        leases = self.machine.leases
        self._expire_leases()
        if len(leases) < self.policy.half_open_probes:
            leases[self.command.token] = self.now_ms + to_ms(self.policy.lease)
            self.admitted = self.probe = True

    def _expire_leases(self) -> None:
        leases = self.machine.leases
        for token in [t for t, expiry in leases.items() if expiry <= self.now_ms]:
            del leases[token]
            self.lost += 1

    def settle(self) -> None:
        machine, command = self.machine, self.command
        if command.outcome is Outcome.FAILURE:
            machine.failures_total += 1
        if command.era != machine.era:
            self.dropped = True
        elif machine.state is State.CLOSED:
            self._settle_closed()
        elif machine.state is State.HALF_OPEN:
            self._settle_probe()

    def _settle_closed(self) -> None:
        machine = self.machine
        if self.command.outcome is Outcome.SUCCESS:
            machine.failures = 0
            machine.count(self.policy, self.now_ms, calls=1, failures=0)
        elif self.command.outcome is Outcome.FAILURE:
            machine.failures += 1
            machine.count(self.policy, self.now_ms, calls=1, failures=1)
            if machine.trips(self.policy, self.now_ms):
                self._open(cause="failures")

    def _settle_probe(self) -> None:
        machine = self.machine
        self._expire_leases()
        if machine.leases.pop(self.command.token, None) is None:
            self.dropped = True
        elif self.command.outcome is Outcome.FAILURE:
            self._open(cause="probe_failed")
        elif self.command.outcome is Outcome.SUCCESS:
            machine.successes += 1
            if machine.successes >= self.policy.success_threshold:
                machine.opens = 0
                self._go(State.CLOSED, cause="recovered")

    def trip(self) -> None:
        if self.machine.state is State.OPEN:
            self.dropped = True
        else:
            self._open(cause="tripped")

    def operate(self) -> None:
        machine, command = self.machine, self.command
        new_state = machine.state
        if command.action is Action.RESET:
            new_state = State.CLOSED
            machine.opens = 0
        self._change_mode(MODE_AFTER[command.action], new_state, command.action)

    def restore(self) -> None:
        if self.machine.mode is self.command.mode:
            self.dropped = True
        else:
            self._change_mode(self.command.mode, self.machine.state, "restored")

    def _change_mode(self, mode: Mode, state: State, cause: str) -> None:
        machine = self.machine
        old_mode = machine.mode
        machine.mode = mode
        machine.mode_since_ms = self.now_ms
        machine.mode_reason = self.command.reason
        is_reset = cause == Action.RESET
        self._go(state, cause=cause, old_mode=old_mode, new_era=is_reset)

    def _open(self, *, cause: str) -> None:
        machine = self.machine
        wait = open_wait_ms(self.policy, self.command, earlier=machine.opens)
        machine.opens += 1
        machine.retry_at_ms = self.now_ms + wait
        self._go(State.OPEN, cause=cause, wait_ms=wait)

    def _go(
        self,
        state: State,
        *,
        cause: str,
        old_mode: Mode | None = None,
        new_era: bool = True,
        wait_ms: int = 0,
    ) -> None:
        machine, command = self.machine, self.command
        old_state, failures = machine.state, machine.failures
        machine.epoch = machine.next_epoch(self.now_ms)
        if new_era:
            machine.state = state
            machine.era = machine.epoch
            machine.since_ms = self.now_ms
            machine.reason = command.reason or cause
            machine.successes = 0
            machine.leases, machine.buckets = {}, {}
            if state is State.CLOSED:
                machine.failures = 0
        self.transition = Transition(
            breaker=machine.breaker,
            epoch=machine.epoch,
            at_ms=self.now_ms,
            old_state=old_state,
            new_state=machine.state,
            old_mode=old_mode or machine.mode,
            new_mode=machine.mode,
            cause=cause,
            actor=command.actor,
            reason=command.reason,
            failures=failures,
            wait_ms=wait_ms,
            error=command.error,
        )


_HANDLERS = {
    Op.VIEW: _Step.look,
    Op.ACQUIRE: _Step.acquire,
    Op.SETTLE: _Step.settle,
    Op.TRIP: _Step.trip,
    Op.OPERATE: _Step.operate,
    Op.RESTORE: _Step.restore,
}


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

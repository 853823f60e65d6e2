"""The rules: how a machine answers one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.machine import open_wait_ms, to_ms
from resilience.protocol import Command, Op, Reply, Transition
from resilience.states import MODE_AFTER, Action, Mode, Outcome, State

if TYPE_CHECKING:
    from resilience.machine import Machine
    from resilience.policy import BreakerPolicy


def decide(
    machine: Machine, *, command: Command, policy: BreakerPolicy, now_ms: int
) -> Reply:
    """Answer one command at `now_ms`; whoever calls holds the machine's lock."""
    machine.bound_deadlines(policy, now_ms)
    if command.tally and command.tally_era == machine.era:
        machine.count(policy, now_ms, calls=command.tally, failures=0)
    step = _Step(machine, command, policy, now_ms)
    _HANDLERS[command.op](step)
    return Reply(
        view=machine.view(policy=policy, now_ms=now_ms),
        admitted=step.admitted,
        probe=step.probe,
        dropped=step.dropped,
        lost=step.lost,
        transition=step.transition,
    )


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

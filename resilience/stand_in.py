"""The local machine that decides while the shared store is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.machine import Machine
from resilience.states import State

if TYPE_CHECKING:
    from resilience.policy import BreakerPolicy
    from resilience.protocol import View


def stand_in_for(
    *, breaker: str, policy: BreakerPolicy, view: View | None, now_ms: int
) -> Machine:
    """Return a machine that goes on from the last view: open stays open, modes stay."""
    if view is None:
        machine = Machine.fresh(
            breaker=breaker, mode=policy.initial_mode, now_ms=now_ms
        )
        machine.stand_in = True
        machine.epoch = machine.era = machine.next_epoch(now_ms)
        return machine
    machine = Machine(
        breaker=breaker,
        epoch=view.epoch,
        era=view.era,
        since_ms=view.since_ms,
        mode_since_ms=view.mode_since_ms,
        state=view.state,
        mode=view.mode,
        failures=view.failures,
        successes=view.successes,
        opens=view.opens,
        failures_total=view.failures_total,
        reason=view.reason,
        mode_reason=view.mode_reason,
        stand_in=True,
    )
    until_ms = view.now_ms + view.retry_after_ms
    if view.state is State.OPEN:
        machine.retry_at_ms = until_ms
    elif view.state is State.HALF_OPEN and view.retry_after_ms:
        # Which probes the fleet has under way is not known; all slots count as taken.
        slots = range(policy.half_open_probes)
        machine.leases = {f"fleet-{slot}": until_ms for slot in slots}
    return machine

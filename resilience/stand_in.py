"""What answers while the shared store is away: a machine of this process alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from resilience.machine import Machine
from resilience.rules import decide
from resilience.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from resilience.policy import BreakerPolicy
    from resilience.protocol import Command, Observer, Reply, View

logger = logging.getLogger(__name__)


class StandIn:
    """Decides by the store's rules, on the store's clock as far as that is known."""

    def __init__(
        self,
        *,
        name: str,
        policy: BreakerPolicy,
        observer: Observer,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._name = name
        self._policy = policy
        self._observer = observer
        self._clock = clock
        self._wall_ms = wall_ms
        self._machine: Machine | None = None
        self._store_ahead_ms: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether it answered the last question."""
        return self._machine is not None

    def ask(self, command: Command, *, view: View | None) -> Reply:
        """Answer in the store's place; ``view`` is the last that the store gave."""
        now_ms = self._store_now_ms()
        if self._machine is None:
            self._machine = _machine_for(
                breaker=self._name, policy=self._policy, view=view, now_ms=now_ms
            )
            self._observer.store_up(up=False)
            logger.warning("breaker.store_lost", extra={"breaker": self._name})
        reply = decide(
            self._machine, command=command, policy=self._policy, now_ms=now_ms
        )
        if reply.transition is not None:
            logger.warning(
                "breaker.local_transition",
                extra={
                    "breaker": self._name,
                    "old": str(reply.transition.old_state),
                    "new": str(reply.transition.new_state),
                    "cause": reply.transition.cause,
                },
            )
        return reply

    def leave(self) -> None:
        """Forget what it decided: the store answers itself."""
        if self._machine is not None:
            self._machine = None
            logger.info("breaker.store_back", extra={"breaker": self._name})
        self._observer.store_up(up=True)

    def set_clock(self, store_now_ms: int) -> None:
        """Note what the store's clock says now."""
        self._store_ahead_ms = store_now_ms - self._clock_ms()

    def _store_now_ms(self) -> int:
        if self._store_ahead_ms is None:
            self._store_ahead_ms = self._wall_ms() - self._clock_ms()
        return self._clock_ms() + self._store_ahead_ms

    def _clock_ms(self) -> int:
        return int(self._clock() * 1000)


def _machine_for(
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

"""What one process knows of one circuit: its cached answer, and the stand-in for a lost store."""

from __future__ import annotations

import itertools
import logging
import os
import random
import secrets
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from resilience.errors import StoreUnavailableError
from resilience.machine import Machine
from resilience.protocol import Command, Op, Reply, Transition, View
from resilience.states import Action, Mode, Outcome, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from resilience.policy import BreakerPolicy
    from resilience.protocol import Observer, Store

logger = logging.getLogger(__name__)

# No circuit has this era; a call admitted under it is not fed to the machine.
UNFED = 0
# A view older than this says nothing about the mode that a wiped store has lost.
MODE_MEMORY_SECONDS = 2.0
JITTER_STEPS = 1000
_SYSTEM_RANDOM = random.SystemRandom()
Item = TypeVar("Item")


class Answer:
    """The answer for calls of the next moments, worked out once."""

    __slots__ = ("admits", "deadline", "era", "fresh_until", "pid", "quiet", "view")

    def __init__(
        self,
        *,
        view: View | None,
        pid: int,
        fresh_until: float,
        deadline: float | None,
        admits: bool,
        era: int,
        quiet: bool,
    ) -> None:
        self.view = view
        self.pid = pid
        self.fresh_until = fresh_until
        self.deadline = deadline
        self.admits = admits
        self.era = era
        # Whether a healthy success under this answer needs no report.
        self.quiet = quiet


class Process:
    """The part of a breaker that must not survive a fork.

    Everything but `answer` and the two deques is used under `lock`.
    """

    def __init__(
        self,
        *,
        name: str,
        policy: BreakerPolicy,
        store: Store,
        observer: Observer,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.durations: deque[float] = deque()
        self.rejections: deque[None] = deque()
        self.tally = 0
        self._name = name
        self._policy = policy
        self._store = store
        self._observer = observer
        self._clock = clock
        self._wall_ms = wall_ms
        self._prefix = secrets.token_hex(8)
        self._tokens = itertools.count(1)
        self._stand_in: Machine | None = None
        self._store_ahead_ms: int | None = None
        self._unreported: deque[Transition] = deque()
        self._reporting = threading.Lock()
        self.answer = Answer(
            view=None,
            pid=self.pid,
            fresh_until=float("-inf"),
            deadline=None,
            admits=False,
            era=UNFED,
            quiet=True,
        )

    @property
    def store_up(self) -> bool:
        """Whether the last question was answered by the store itself."""
        return self._stand_in is None

    def new_token(self) -> str:
        """Return a name for a probe that no other process uses."""
        return f"{self._prefix}-{next(self._tokens)}"

    def ask(
        self,
        op: Op,
        *,
        era: int = UNFED,
        token: str = "",
        outcome: Outcome = Outcome.IGNORED,
        wait_ms: int = 0,
        reason: str = "",
        error: str = "",
    ) -> Reply:
        """Put one question to the store, or to the stand-in while the store is away."""
        command = Command(
            op=op,
            era=era,
            token=token,
            outcome=outcome,
            tally=self.tally,
            tally_era=self.answer.era,
            wait_ms=wait_ms,
            jitter=_SYSTEM_RANDOM.randrange(JITTER_STEPS + 1),
            reason=reason,
            error=error,
        )
        self.tally = 0
        asked_at = self._clock()
        try:
            reply = self._ask_store(command, asked_at)
        except StoreUnavailableError:
            reply = self._ask_stand_in(command)
        else:
            self._leave_stand_in()
        self._learn(reply, asked_at)
        return reply

    def operate(self, *, action: Action, actor: str, reason: str) -> Transition:
        """Carry out an operator's action; raise when the store is away."""
        asked_at = self._clock()
        command = Command(op=Op.OPERATE, action=action, actor=actor, reason=reason)
        reply = self._decide(command)
        return self._taken(reply, asked_at)

    def restore(self, *, mode: Mode, actor: str, reason: str) -> Transition | None:
        """Set a mode unless it is set already; raise when the store is away."""
        asked_at = self._clock()
        command = Command(op=Op.RESTORE, mode=mode, actor=actor, reason=reason)
        reply = self._decide(command)
        return None if reply.dropped else self._taken(reply, asked_at)

    def report(self) -> None:
        """Tell the observer of transitions, in order; call it without the lock.

        A listener that uses this breaker again finds the report under way and leaves.
        """
        while self._unreported and self._reporting.acquire(blocking=False):
            try:
                while self._unreported:
                    transition = self._unreported.popleft()
                    self._observer.transitioned(transition=transition)
            finally:
                self._reporting.release()

    def flush(self) -> None:
        """Hand the collected successes and rejections to the observer."""
        seconds = _drained(self.durations)
        if seconds:
            self._observer.succeeded(name=self._name, seconds=seconds)
        rejected = len(_drained(self.rejections))
        if rejected:
            self._observer.rejected(name=self._name, count=rejected)

    def remaining(self, now: float) -> float:
        """Return the seconds until the cached answer lets a call pass."""
        answer = self.answer
        if answer.view is not None and answer.view.mode is Mode.FORCED_OPEN:
            return self._policy.recovery_timeout
        return 0.0 if answer.deadline is None else max(0.0, answer.deadline - now)

    def _decide(self, command: Command) -> Reply:
        return self._store.decide(name=self._name, policy=self._policy, command=command)

    def _taken(self, reply: Reply, asked_at: float) -> Transition:
        self._leave_stand_in()
        self._learn(reply, asked_at)
        assert reply.transition is not None
        return reply.transition

    def _ask_store(self, command: Command, asked_at: float) -> Reply:
        reply = self._decide(command)
        known = self.answer
        is_recent = known.fresh_until > asked_at - MODE_MEMORY_SECONDS
        if not reply.created or known.view is None or not is_recent:
            return reply
        if known.view.mode is reply.view.mode:
            return reply
        # The store was emptied under an operator's mode, which this process just saw.
        restored = self._decide(
            Command(
                op=Op.RESTORE,
                mode=known.view.mode,
                reason=known.view.mode_reason,
            )
        )
        self._learn(restored, asked_at)
        again = command.op if command.op is Op.ACQUIRE else Op.VIEW
        return self._decide(Command(op=again, token=command.token))

    def _ask_stand_in(self, command: Command) -> Reply:
        if self._stand_in is None:
            self._stand_in = self._seeded()
            self._observer.store_up(up=False)
            logger.warning("breaker.store_lost", extra={"breaker": self._name})
        reply = self._stand_in.decide(
            command=command, policy=self._policy, now_ms=self._store_now_ms()
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

    def _leave_stand_in(self) -> None:
        if self._stand_in is not None:
            self._stand_in = None
            logger.info("breaker.store_back", extra={"breaker": self._name})
        self._observer.store_up(up=True)

    def _seeded(self) -> Machine:
        """Return a machine that goes on from the last view."""
        now_ms = self._store_now_ms()
        view = self.answer.view
        if view is None:
            mode = self._policy.initial_mode
            machine = Machine.fresh(breaker=self._name, mode=mode, now_ms=now_ms)
            machine.epoch = machine.era = -1
            machine.stand_in = True
            return machine
        machine = Machine(
            breaker=self._name,
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
        elif view.state is State.HALF_OPEN:
            # The probes of the fleet are unknown; their slots count as taken.
            taken = self._policy.half_open_probes - view.free_probes
            machine.leases = {f"fleet-{n}": until_ms for n in range(taken)}
        return machine

    def _store_now_ms(self) -> int:
        if self._store_ahead_ms is None:
            self._store_ahead_ms = self._wall_ms() - self._clock_ms()
        return self._clock_ms() + self._store_ahead_ms

    def _clock_ms(self) -> int:
        return int(self._clock() * 1000)

    def _learn(self, reply: Reply, asked_at: float) -> None:
        old, view = self.answer.view, reply.view
        self._store_ahead_ms = view.now_ms - self._clock_ms()
        self.answer = self._answer_for(view, asked_at)
        if old is None or (old.state, old.mode) != (view.state, view.mode):
            self._observer.viewed(name=self._name, view=view)
        if reply.lost:
            self._observer.probes_lost(name=self._name, count=reply.lost)
        if reply.transition is not None and self._stand_in is None:
            self._unreported.append(reply.transition)
        self.flush()

    def _answer_for(self, view: View, asked_at: float) -> Answer:
        fresh_until = asked_at + self._policy.view_ttl
        deadline: float | None = None
        admits, era, quiet = False, UNFED, True
        if view.mode is Mode.DISABLED:
            admits = True
        elif view.mode is Mode.FORCED_OPEN:
            admits = False
        elif view.state is State.CLOSED:
            admits, era = True, view.era
            quiet = view.failures == 0 and not self._policy.by_rate
        else:
            # Counted from the receipt, so never earlier than the store meant.
            deadline = self._clock() + view.retry_after_ms / 1000
            fresh_until = min(fresh_until, deadline)
            admits = view.mode is Mode.OBSERVE
        return Answer(
            view=view,
            pid=self.pid,
            fresh_until=fresh_until,
            deadline=deadline,
            admits=admits,
            era=era,
            quiet=quiet,
        )


def _drained(items: deque[Item]) -> list[Item]:
    """Empty a deque to which other threads append."""
    drained: list[Item] = []
    try:
        while True:
            drained.append(items.popleft())
    except IndexError:
        return drained

"""What one process knows of one circuit, and how it asks for more."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import threading
from collections import deque
from typing import TYPE_CHECKING

from resilience.answer import UNFED, answer_from, no_answer
from resilience.counts import Counts
from resilience.errors import StoreUnavailableError
from resilience.protocol import Command, Op, Question, Reply, Transition
from resilience.stand_in import StandIn
from resilience.states import Action, Mode, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resilience.policy import BreakerPolicy
    from resilience.protocol import Observer, Store

# A view older than this says nothing about the mode that a wiped store has lost.
MODE_MEMORY_SECONDS = 2.0
# A circuit that was used within these is refreshed with the others.
IN_USE_SECONDS = 30.0
JITTER_STEPS = 1000
_SYSTEM_RANDOM = random.SystemRandom()


class Process:
    """The part of a breaker that must not survive a fork.

    Everything but `answer` and `counts` is used under `lock`. ``peers`` are the
    other circuits of this process: whoever asks refreshes the busy ones in the same round
    trip, so that many circuits cost no more than one.
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
        peers: Callable[[], Sequence[Process]],
    ) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.answer = no_answer(pid=self.pid)
        self.counts = Counts(name=name, observer=observer)
        self.tally = 0
        self._name = name
        self._policy = policy
        self._store = store
        self._observer = observer
        self._clock = clock
        self._peers = peers
        self._prefix = secrets.token_hex(8)
        self._tokens = itertools.count(1)
        self._used_at = float("-inf")
        self._stand_in = StandIn(
            name=name,
            policy=policy,
            observer=observer,
            clock=clock,
            wall_ms=wall_ms,
        )
        self._unreported: deque[Transition] = deque()
        self._peers_with_news: deque[Process] = deque()
        self._reporting = threading.Lock()

    @property
    def store_up(self) -> bool:
        """Whether the last question was answered by the store itself."""
        return not self._stand_in.is_asked

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
            reason=_printable(reason),
            error=_printable(error),
        )
        self.tally = 0
        asked_at = self._clock()
        try:
            reply = self._ask_store(command, asked_at)
        except StoreUnavailableError:
            reply = self._stand_in.ask(command, view=self.answer.view)
        self._learn(reply, asked_at)
        return reply

    def operate(self, *, action: Action, actor: str, reason: str) -> Transition:
        """Carry out an operator's action; raise when the store is away."""
        command = Command(op=Op.OPERATE, action=action, actor=actor, reason=reason)
        transition = self._tell(command)
        assert transition is not None
        return transition

    def restore(self, *, mode: Mode, actor: str, reason: str) -> Transition | None:
        """Set a mode unless it is set already; raise when the store is away."""
        command = Command(op=Op.RESTORE, mode=mode, actor=actor, reason=reason)
        return self._tell(command)

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
        while self._peers_with_news:
            self._peers_with_news.popleft().report()

    def remaining(self, now: float) -> float:
        """Return the seconds until the cached answer lets a call pass."""
        answer = self.answer
        if answer.view is not None and answer.view.mode is Mode.FORCED_OPEN:
            return self._policy.recovery_timeout
        return 0.0 if answer.deadline is None else max(0.0, answer.deadline - now)

    def _ask_store(self, command: Command, asked_at: float) -> Reply:
        if command.op is Op.ACQUIRE:
            reply = self._decide_with_peers(command, asked_at)
        else:
            reply = self._decide(command)
        self._stand_in.leave()
        return self._restored(reply, command, asked_at) if reply.created else reply

    def _decide(self, command: Command) -> Reply:
        return self._store.decide(self._question(command))[0]

    def _question(self, command: Command) -> Question:
        return Question(name=self._name, policy=self._policy, command=command)

    def _tell(self, command: Command) -> Transition | None:
        asked_at = self._clock()
        reply = self._decide(command)
        self._stand_in.leave()
        self._learn(reply, asked_at)
        return reply.transition

    def _decide_with_peers(self, command: Command, asked_at: float) -> Reply:
        # Never waits for a peer's lock: two that ask at once would wait for each other.
        held = [
            peer
            for peer in self._peers()
            if peer.wants_refresh(asked_at) and peer.lock.acquire(blocking=False)
        ]
        try:
            questions = [peer.look() for peer in held]
            reply, *views = self._store.decide(self._question(command), *questions)
            for peer, view in zip(held, views, strict=True):
                peer.take(view, asked_at)
                if peer.has_news:
                    # Told once our own lock is free, too.
                    self._peers_with_news.append(peer)
        finally:
            for peer in held:
                peer.lock.release()
        return reply

    @property
    def has_news(self) -> bool:
        """Whether a transition waits to be told."""
        return bool(self._unreported)

    def wants_refresh(self, now: float) -> bool:
        """Whether this circuit is in use and would soon ask by itself."""
        is_used = not self.counts.is_empty or now - self._used_at < IN_USE_SECONDS
        is_old = self.answer.fresh_until - now < self._policy.view_ttl / 2
        is_ours = self.pid == os.getpid()
        return is_used and is_old and is_ours and self.store_up

    def look(self) -> Question:
        """Return the question that refreshes this circuit."""
        return self._question(
            Command(op=Op.VIEW, tally=self.tally, tally_era=self.answer.era)
        )

    def take(self, reply: Reply, asked_at: float) -> None:
        """Learn from the answer to `look`."""
        self.tally = 0
        if reply.created:
            # It knows no operator's word any more, and will not say so twice.
            try:
                reply = self._restored(reply, Command(op=Op.VIEW), asked_at)
            except StoreUnavailableError:
                return
        self._learn(reply, asked_at)

    def _restored(self, reply: Reply, command: Command, asked_at: float) -> Reply:
        """Put an operator's mode back that an emptied store has lost before our eyes."""
        known = self.answer
        is_recent = known.fresh_until > asked_at - MODE_MEMORY_SECONDS
        if known.view is None or not is_recent:
            return reply
        mode, reason = known.view.mode, known.view.mode_reason
        if mode is reply.view.mode:
            return reply
        if reply.transition is not None:
            # The answer that follows tells of the mode alone.
            self._unreported.append(reply.transition)
        restored = self._decide(Command(op=Op.RESTORE, mode=mode, reason=reason))
        self._learn(restored, asked_at)
        again = command.op if command.op is Op.ACQUIRE else Op.VIEW
        return self._decide(Command(op=again, token=command.token))

    def _learn(self, reply: Reply, asked_at: float) -> None:
        old, view = self.answer.view, reply.view
        self.answer = answer_from(
            view,
            policy=self._policy,
            pid=self.pid,
            asked_at=asked_at,
            now=self._clock(),
        )
        if old is None or (old.state, old.mode) != (view.state, view.mode):
            self._observer.viewed(name=self._name, view=view)
        if self.store_up:
            self._learn_from_store(reply)
        if not self.counts.is_empty:
            self._used_at = asked_at
        self.counts.flush()

    def _learn_from_store(self, reply: Reply) -> None:
        self._stand_in.set_clock(reply.view.now_ms)
        if reply.lost:
            self._observer.probes_lost(name=self._name, count=reply.lost)
        if reply.transition is not None:
            self._unreported.append(reply.transition)


def _printable(text: str) -> str:
    """Return a text that every store and table can keep; a call's words may be no text."""
    return text.encode(errors="replace").decode().replace("\0", "?")

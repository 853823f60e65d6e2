"""Keeping members up: what ended is started again, until that is plainly no use."""

from __future__ import annotations

import collections
import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from auren.devstack.members import Member
from auren.devstack.process import ServiceError

RESTARTS = 5
WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    name: str
    code: int


@dataclass(kw_only=True)
class Supervisor:
    """Restarts members that end, at most RESTARTS times within WINDOW_S each.

    ``ended`` may be called from any thread. ``say`` gets one line for each restart.
    """

    members: Iterable[Member]
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _events: queue.SimpleQueue[Ended] = field(default_factory=queue.SimpleQueue)
    _due: dict[str, float] = field(default_factory=dict)
    _history: dict[str, collections.deque[float]] = field(default_factory=dict)

    def ended(self, name: str, code: int) -> None:
        """Take note that a member is no longer there."""
        self._events.put(Ended(name=name, code=code))

    def wait(self, *, timeout: float) -> Ended | None:
        """Answer the next end of a member, or nothing after ``timeout`` seconds."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def step(self, event: Ended | None) -> None:
        """Start what is due again; ServiceError for what cannot be kept up."""
        if event is not None:
            self._plan(event)
        now = self.clock()
        for member in self.members:
            if self._due.get(member.name, now + 1) <= now:
                del self._due[member.name]
                member.launch()

    def _plan(self, event: Ended) -> None:
        now = self.clock()
        history = self._history.setdefault(event.name, collections.deque())
        while history and history[0] < now - WINDOW_S:
            history.popleft()
        fate = _fate(event.code)
        if len(history) >= RESTARTS:
            msg = (
                f"{event.name} {fate} for the {RESTARTS + 1}th time within a minute; "
                "its last words are above."
            )
            raise ServiceError(msg)
        delay = float(2 ** len(history) // 2)
        history.append(now)
        self._due[event.name] = now + delay
        self.say(f"{event.name} {fate}; starting it again in {delay:.0f} s.")


def _fate(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"

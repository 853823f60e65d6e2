"""Ctrl-C for a program that must finish what it is doing before it lets go."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM; not an Exception, so that nothing on the way swallows it."""


class StopSignals:
    """Turns the usual signals into StopRequested, once, and not at a bad moment."""

    def __init__(self) -> None:
        self._wanted = False
        self._held = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Listen for the signals; the former handlers come back afterwards."""
        former = {signum: signal.signal(signum, self._caught) for signum in _SIGNALS}
        try:
            yield
        finally:
            for signum, handler in former.items():
                signal.signal(signum, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing interrupt the block; raise afterwards what came meanwhile."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._wanted:
                raise StopRequested

    def hold_for_good(self) -> None:
        """Interrupt nothing any more: what follows is the stopping itself."""
        self._held = True

    def _caught(self, _signum: int, _frame: FrameType | None) -> None:
        self._wanted = True
        if not self._held:
            raise StopRequested

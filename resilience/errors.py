"""What this package raises; nothing else of it ever reaches a guarded caller."""

from __future__ import annotations

import random

_SYSTEM_RANDOM = random.SystemRandom()
_SPREAD = 0.25


class ResilienceError(Exception):
    """Everything that this package raises by itself."""


class CircuitBreakerOpen(ResilienceError):  # noqa: N818 - the published name of the API
    """The call was not made, because its dependency is being left alone.

    ``retry_after`` is in seconds. ``state`` is the state that refused: ``open``,
    ``half_open`` (all probe slots are taken) or ``forced_open`` (an operator).
    """

    def __init__(self, name: str, state: str, retry_after: float, reason: str) -> None:
        super().__init__(name, state, retry_after, reason)
        self.name = name
        self.state = state
        self.retry_after = retry_after
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The circuit {self.name!r} is {self.state} ({self.reason}); "
            f"retry in {self.retry_after:.1f} s."
        )

    def countdown(self) -> float:
        """Seconds to wait before trying again, spread so that waiters do not return together."""
        return self.retry_after * (1 + _SPREAD * _SYSTEM_RANDOM.random())


class PolicyError(ResilienceError, ValueError):
    """A policy that cannot be meant; the message names the field to correct."""


class StoreUnavailableError(ResilienceError):
    """The shared store did not answer. Guarded calls never see this, operators do."""

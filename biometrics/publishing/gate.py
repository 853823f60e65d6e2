"""The circuit breaker around everything that a turn asks of Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from biometrics.errors import NothingSentError
from resilience import Permit


class Breaker(Protocol):
    """The part of a circuit breaker that the relay uses."""

    def acquire(self) -> Permit:
        """Return permission for one call, or raise CircuitBreakerOpen."""
        ...


class Gate:
    """Asks for permission before any work is begun, and then before each call.

    Raises CircuitBreakerOpen on construction and from `call`.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._unused: Permit | None = breaker.acquire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give back a permission that was not needed."""
        if self._unused is not None:
            self._unused.settle(NothingSentError("There was nothing to send."))

    @contextmanager
    def call(self) -> Iterator[None]:
        """Guard one call and report what became of it."""
        permit = self._unused or self._breaker.acquire()
        self._unused = None
        with permit:
            yield

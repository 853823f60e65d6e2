"""The circuits of a project: one object for each name, all over one store."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import REGISTRY

from resilience.breaker import CircuitBreaker
from resilience.conf import PolicyBook, check_name
from resilience.errors import PolicyError
from resilience.metrics import FlushingCollector, MeteringObserver
from resilience.storage.memory import MemoryStore
from resilience.storage.redis import RedisStore

if TYPE_CHECKING:
    from resilience.policy import BreakerPolicy
    from resilience.protocol import Observer, Store

# A guarded call may wait this long, once, for a store that has gone.
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.05, 0.25


class Registry:
    """Makes breakers by the project's settings and keeps them."""

    def __init__(self, *, book: PolicyBook, store: Store, observer: Observer) -> None:
        self.book = book
        self.store = store
        self._observer = observer
        self._breakers: dict[str, CircuitBreaker] = {}

    def get(self, name: str, *, policy: BreakerPolicy | None = None) -> CircuitBreaker:
        """Return the breaker of that name; make it on first use."""
        breaker = self._breakers.get(name)
        if breaker is None:
            check_name(name)
            made = self._make(name, policy or self.book.policy_for(name))
            breaker = self._breakers.setdefault(name, made)
        if policy is not None and breaker.policy != policy:
            msg = f"The circuit {name!r} is already in use with another policy."
            raise PolicyError(msg)
        return breaker

    def all(self) -> list[CircuitBreaker]:
        """Return the breakers that are written in the settings or in use here, by name."""
        names = {*self.book.names(), *self._breakers}
        return [self.get(name) for name in sorted(names)]

    def known(self) -> list[CircuitBreaker]:
        """Return like `all`, with the ones that other processes use.

        Raises `StoreUnavailableError` when the store is away.
        """
        for name in self.store.names():
            self.get(name)
        return self.all()

    def flush(self) -> None:
        """Have every breaker hand in its counts."""
        for breaker in list(self._breakers.values()):
            breaker.flush()

    def _make(self, name: str, policy: BreakerPolicy) -> CircuitBreaker:
        return CircuitBreaker(
            name=name,
            policy=policy,
            store=self.store,
            observer=self._observer,
            clock=time.monotonic,
            wall_ms=wall_ms,
            peers=lambda: list(self._breakers.values()),
        )


_lock = threading.RLock()
_registry: Registry | None = None


def flush() -> None:
    """Have every circuit in use here hand in its counts, as before a scrape."""
    registry = _registry
    if registry is not None:
        registry.flush()


REGISTRY.register(FlushingCollector(flush))


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - a forked child may inherit it locked
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def current() -> Registry:
    """Return the project's registry; made on first use, connects to nothing."""
    global _registry  # noqa: PLW0603 - one registry a process is what this module is for
    with _lock:
        if _registry is None:
            _registry = _configured()
        return _registry


def clear() -> None:
    """Forget every breaker and the store, as after a change of settings in a test."""
    global _registry  # noqa: PLW0603
    with _lock:
        if _registry is not None:
            _registry.store.close()
        _registry = None


def get_breaker(name: str, *, policy: BreakerPolicy | None = None) -> CircuitBreaker:
    """Return the circuit breaker called `name`, by the policy in the settings.

    `policy` stands in for the settings; it must be the same at every call.
    """
    return current().get(name, policy=policy)


def all_breakers() -> list[CircuitBreaker]:
    """Return the breakers in the settings and those in use in this process, by name."""
    return current().all()


def wall_ms() -> int:
    """Return the time of day; for stores without a clock of their own."""
    return time.time_ns() // 1_000_000


def check_settings() -> None:
    """Raise `ImproperlyConfigured`, naming the field, for a policy that cannot be meant."""
    _store_timeout()
    try:
        _book().check()
    except PolicyError as error:
        raise ImproperlyConfigured(str(error)) from error


def _book() -> PolicyBook:
    return PolicyBook(
        written=getattr(settings, "RESILIENCE", {}), environment=os.environ
    )


def _configured() -> Registry:
    prefix = getattr(settings, "RESILIENCE_METRIC_PREFIX", "circuit_")
    return Registry(
        book=_book(), store=_store(), observer=MeteringObserver(prefix=prefix)
    )


def _store() -> Store:
    url = getattr(settings, "RESILIENCE_REDIS_URL", "")
    if not url:
        return MemoryStore(now_ms=wall_ms)
    return RedisStore(
        url=url,
        key_prefix=getattr(settings, "RESILIENCE_KEY_PREFIX", "cb"),
        timeout=_store_timeout(),
        clock=time.monotonic,
    )


def _store_timeout() -> float:
    wanted = getattr(settings, "RESILIENCE_STORE_TIMEOUT", LONGEST_TIMEOUT)
    try:
        timeout = float(wanted)
    except (TypeError, ValueError):
        timeout = 0.0
    if not SHORTEST_TIMEOUT <= timeout <= LONGEST_TIMEOUT:
        msg = (
            f"RESILIENCE_STORE_TIMEOUT must be from {SHORTEST_TIMEOUT:g} to "
            f"{LONGEST_TIMEOUT:g} seconds, not {wanted!r}."
        )
        raise ImproperlyConfigured(msg)
    return timeout

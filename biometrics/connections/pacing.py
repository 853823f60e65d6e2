"""Keeping to the limits that vendors publish, over all processes.

Calls are counted in Redis over a moving window. While Redis cannot be asked, each process
keeps to its own share: too few calls rather than too many.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import redis
from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from biometrics import nudges
from biometrics.vendors.api_spec import RateLimit

logger = logging.getLogger(__name__)

_PREFIX = "auren:limits"
# For how long Redis is not asked again once it did not answer.
_ALONE_S = 5.0
_SHORTEST_WAIT_S = 1.0


def take(
    *,
    slug: str,
    account: str,
    limits: Sequence[RateLimit],
    params: Mapping[str, str],
    now: datetime,
) -> float | None:
    """Take what a call costs of its limits; return how long to wait where it may not be.

    None is leave to call. What a refused call would have cost is kept for others, except
    of the limits named before the one that is used up. Never raises; takes at most a few
    round trips to Redis, so keep it off an event loop.
    """
    pacer, keys = _pacer(), _hold_keys(slug, account)
    wait = pacer.held(keys, now=now)
    if wait is not None:
        return wait
    return pacer.take(slug=slug, account=account, limits=limits, params=params)


def hold(*, slug: str, account: str | None, seconds: float, now: datetime) -> None:
    """Have `take` refuse calls for this account for so long, in every process.

    Without an account, all calls of this vendor's API.
    """
    _pacer().hold(_hold_key(slug, account), seconds=seconds, now=now)


def forget() -> None:
    """Begin anew in this process, as after a start."""
    _pacers.clear()


class _Pacer:
    """One process's way to the shared counts, with counts of its own as stand-in."""

    def __init__(self) -> None:
        self._redis = nudges.connect()
        shared = RedisStorage(
            settings.REDIS_URL,
            connection_pool=self._redis.connection_pool,
            key_prefix=_PREFIX,
        )
        self._shared = MovingWindowRateLimiter(shared)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        # Until when, by the caller's clock and by one that nobody sets.
        self._own_holds: dict[str, tuple[float, float]] = {}
        self._alone_until = 0.0

    def take(
        self,
        *,
        slug: str,
        account: str,
        limits: Sequence[RateLimit],
        params: Mapping[str, str],
    ) -> float | None:
        """Take of the shared counts, or else of this process's own."""
        if not self._is_alone:
            items = _items(slug, account, limits=limits, params=params, shares=1)
            try:
                return _hit(self._shared, items)
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
        shares = settings.WORKERS
        items = _items(slug, account, limits=limits, params=params, shares=shares)
        return _hit(self._own, items)

    def hold(self, key: str, *, seconds: float, now: datetime) -> None:
        """Note here and for all until when nothing is called."""
        ends = now.timestamp() + seconds
        self._own_holds[key] = (ends, time.monotonic() + seconds)
        if not self._is_alone:
            try:
                self._redis.set(key, ends, px=max(1, int(seconds * 1000)))
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)

    def held(self, keys: Sequence[str], *, now: datetime) -> float | None:
        """Return for how long none of this may be called; either clock can end it."""
        began, instant = now.timestamp(), time.monotonic()
        self._own_holds = {
            key: ends
            for key, ends in self._own_holds.items()
            if ends[0] > began and ends[1] > instant
        }
        ends = [self._own_holds[key][0] for key in keys if key in self._own_holds]
        if not self._is_alone:
            try:
                ends += [float(found or 0) for found in self._redis.mget(keys)]
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
        left = max(ends, default=0.0) - began
        return max(left, _SHORTEST_WAIT_S) if left > 0 else None

    @property
    def _is_alone(self) -> bool:
        return time.monotonic() < self._alone_until

    def _go_alone(self, error: Exception) -> None:
        self._alone_until = time.monotonic() + _ALONE_S
        logger.warning("limits.alone", extra={"error": type(error).__name__})


# By process: a fork inherits neither locks nor counts.
_pacers: dict[int, _Pacer] = {}


def _pacer() -> _Pacer:
    pid = os.getpid()
    if pid not in _pacers:
        _pacers[pid] = _Pacer()
    return _pacers[pid]


def _hold_key(slug: str, account: str | None) -> str:
    return (
        f"{_PREFIX}:hold:{slug}"
        if account is None
        else f"{_PREFIX}:hold:{slug}:{account}"
    )


def _hold_keys(slug: str, account: str) -> tuple[str, str]:
    """Return what may hold a call: the vendor as a whole, and the account."""
    return _hold_key(slug, None), _hold_key(slug, account)


def _items(
    slug: str,
    account: str,
    *,
    limits: Sequence[RateLimit],
    params: Mapping[str, str],
    shares: int,
) -> Iterator[tuple[RateLimitItem, tuple[str, str], int]]:
    """Yield each limit that the call touches, whose it is, and what the call costs."""
    for limit in limits:
        amount = max(1, int(limit.amount * settings.VENDOR_LIMIT_FACTOR / shares))
        cost = 1 if limit.cost is None else limit.cost(params)
        if cost > 0:
            item = RateLimitItemPerSecond(amount, limit.window_s)
            whose = (slug, account if limit.each == "account" else "")
            # What is larger than the whole limit gets all of it, alone.
            yield item, whose, min(cost, amount)


def _hit(
    limiter: MovingWindowRateLimiter,
    items: Iterator[tuple[RateLimitItem, tuple[str, str], int]],
) -> float | None:
    for item, whose, cost in items:
        if not limiter.hit(item, *whose, cost=cost):
            ends = limiter.get_window_stats(item, *whose).reset_time
            left = ends - datetime.now(tz=UTC).timestamp()
            return min(max(left, _SHORTEST_WAIT_S), float(item.get_expiry()))
    return None

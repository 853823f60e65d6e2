"""Step 8: hand the pending messages of a shard to Kafka, each exactly once, in order.

A batch of messages is bound to a number in the database; one Kafka transaction holds the
batch's records and that number as the shard's progress; then the database marks it. After
any error, time-out or takeover the producer is thrown away, and Kafka is asked before
anything else is sent. `turn` has the steps, docs/publishing.md the reasons.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.module_loading import import_string

from biometrics import stopping
from biometrics.identity import database_id
from biometrics.leases import LeaseLostError
from biometrics.publishing import claims, topics
from biometrics.publishing.choosing import Limits
from biometrics.publishing.gate import Breaker, Gate
from biometrics.publishing.own import OwnProducer
from biometrics.publishing.producers import Cluster
from biometrics.publishing.turn import Outcome, Tools, Turn
from resilience import CircuitBreakerOpen, get_breaker

logger = logging.getLogger(__name__)

__all__ = [
    "Outcome",
    "Relay",
    "due_publish_shards",
    "is_unfinished",
    "open_cluster",
    "publish_shard",
    "urgent_publish_shards",
]


class Relay:
    """What one thread of one process publishes with; never shared, never inherited."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        breaker: Breaker,
        limits: Limits,
        topics: frozenset[str],
        transactional: bool,
    ) -> None:
        self._cluster = cluster
        self._breaker = breaker
        self._limits = limits
        self._topics = topics
        self._transactional = transactional
        self._own = OwnProducer(cluster=cluster, transactional=transactional)
        self._verified: dict[int, int] = {}
        self._database_id: UUID | None = None

    def publish(
        self,
        *,
        shard: int,
        now: Callable[[], datetime],
        deadline: float,
        should_yield: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Publish what the shard has due; see `publish_shard`."""
        seen = claims.look(shard=shard, now=now())
        if seen.alarm:
            return Outcome(state="alarm")
        if not seen.is_due:
            return Outcome(state="idle" if seen.is_free else "busy")
        try:
            with Gate(self._breaker) as gate:
                return self._turn(shard, gate, now, _while(deadline, should_yield))
        except CircuitBreakerOpen as error:
            return Outcome(state="waiting", retry_after=error.retry_after)

    def close(self) -> None:
        """Throw the producer away; a later call builds a new one."""
        self._own.discard()

    def _turn(
        self,
        shard: int,
        gate: Gate,
        now: Callable[[], datetime],
        go_on: Callable[[], bool],
    ) -> Outcome:
        try:
            turn = Turn(shard=shard, tools=self._tools(now), gate=gate, go_on=go_on)
            return turn.run()
        except LeaseLostError:
            # Whoever took the shard has fenced our producer or is about to.
            logger.warning("publish.lease_lost", extra={"shard": shard})
            self._own.discard()
            return Outcome(state="busy")
        except DatabaseError as error:
            logger.warning(
                "publish.database_error",
                extra={"shard": shard, "error": type(error).__name__},
            )
            self._forget()
            return Outcome(state="doubt")
        except BaseException:
            # We are being ended in mid-transaction: nothing may be sent any more.
            self._own.discard()
            raise

    def _tools(self, now: Callable[[], datetime]) -> Tools:
        if self._database_id is None:
            self._database_id = database_id()
        return Tools(
            cluster=self._cluster,
            own=self._own,
            limits=self._limits,
            transactional=self._transactional,
            topics=self._topics,
            database_id=self._database_id,
            verified=self._verified,
            now=now,
        )

    def _forget(self) -> None:
        """Start afresh: the database on the next connection may be a restored one."""
        self._own.discard()
        self._verified.clear()
        self._database_id = None
        # A caller's transaction, if there is one, is the caller's to end.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


class _Mine(threading.local):
    relay: Relay | None = None
    pid: int = 0


_mine = _Mine()


def publish_shard(
    *,
    shard: int,
    now: Callable[[], datetime],
    deadline: float,
    should_yield: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Publish the due messages of a shard until none is left or time is up.

    `deadline` is in `time.monotonic`: no batch is begun after it, and the one under way
    takes at most 20 s longer. `should_yield` is asked after each batch. Never raises for
    Kafka, the breaker or the database being away: the messages wait, the sweep returns.
    """
    return _current().publish(
        shard=shard, now=now, deadline=deadline, should_yield=should_yield
    )


def due_publish_shards(*, now: datetime) -> list[int]:
    """Return the shards with messages to publish, a doubt to clear up or old progress."""
    return claims.due_shards(now=now)


def urgent_publish_shards(*, now: datetime) -> set[int]:
    """Return those of `due_publish_shards` with messages that go first."""
    return claims.urgent_shards(now=now)


def is_unfinished() -> bool:
    """Return whether messages are on their way, in shards that no alarm has stopped."""
    return claims.is_unfinished()


def open_cluster() -> Cluster:
    """Return the cluster that AUREN_CLUSTER names; nothing is connected yet."""
    cluster: Cluster = import_string(settings.AUREN_CLUSTER)()
    return cluster


def _current() -> Relay:
    """Return this thread's relay; a fork starts with a new one and leaves the old."""
    if _mine.relay is None or _mine.pid != os.getpid():
        _mine.relay = Relay(
            cluster=open_cluster(),
            breaker=get_breaker("kafka"),
            limits=Limits(
                messages=settings.KAFKA_PUBLISH_BATCH,
                value_bytes=settings.KAFKA_BUFFER_MB * 1024 * 1024,
            ),
            topics=frozenset(spec.name for spec in topics.declared()),
            transactional=settings.KAFKA_DELIVERY == "exactly_once",
        )
        _mine.pid = os.getpid()
    return _mine.relay


def _while(deadline: float, should_yield: Callable[[], bool]) -> Callable[[], bool]:
    """Return whether to begin another batch; the first one always is.

    Except in a worker that is being stopped.
    """
    begun = iter([True])

    def go_on() -> bool:
        if stopping.is_asked():
            return False
        if next(begun, False):
            return True
        return time.monotonic() < deadline and not should_yield()

    return go_on

"""Telling the workers that a shard has work, cheaply and without ever waiting for it.

At most one message per shard and step is outstanding: a marker in Redis says so, and the
task that takes the message removes it first. A lost nudge costs seconds: the sweep finds
the work. Nothing here may slow a caller, so a thread does it within a quarter second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from functools import cache

import redis
from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

PROCESS_TASK = "biometrics.process_shard"
PUBLISH_TASK = "biometrics.publish_shard"
_TIMEOUT_S = 0.25
_MARKER_S = 15
# How long a task works on a shard while others wait, and with how much slack.
_TURN_S = 1
_SLACK_S = 5
_WORKER_SEEN = "auren:worker-seen"
_WORKER_SEEN_S = 20
_AWAY = (redis.RedisError, OperationalError, OSError)
_QUEUE = {False: "auren", True: "auren-urgent"}


def marker(task: str, shard: int, *, urgent: bool) -> str:
    """Return the name of the key that says "a message for this shard is on its way"."""
    return f"auren:nudge:{task}:{shard}:{'urgent' if urgent else 'normal'}"


def marker_seconds() -> int:
    """Return how long a message may wait before it is taken for lost.

    Longer than a full queue takes: each shard's two steps, one turn each.
    """
    longest = 2 * settings.SHARDS * _TURN_S // settings.WORKERS + _SLACK_S
    return max(_MARKER_S, longest)


class Nudger:
    """Sends nudges from one thread; asking it costs a set update."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._wanted: set[tuple[str, int, bool]] = set()
        self._signal = threading.Condition()
        self._redis = connect()
        self._broker: Connection | None = None
        threading.Thread(target=self._run, name="nudger", daemon=True).start()

    @property
    def usable(self) -> bool:
        """A fork does not inherit the thread."""
        return self._pid == os.getpid()

    def ask(self, task: str, shards: Iterable[int], *, urgent: bool) -> None:
        """Have the shards nudged soon; returns at once."""
        with self._signal:
            self._wanted.update((task, shard, urgent) for shard in shards)
            self._signal.notify()

    def _run(self) -> None:
        while True:
            with self._signal:
                while not self._wanted:
                    self._signal.wait()
                wanted, self._wanted = self._wanted, set()
            try:
                self._send(wanted)
            except _AWAY as error:
                logger.warning(
                    "nudge.lost",
                    extra={"count": len(wanted), "error": type(error).__name__},
                )

    def _send(self, wanted: set[tuple[str, int, bool]]) -> None:
        """Send over the connection of the last time, or a new one if that has gone."""
        known = self._broker
        if known is not None:
            try:
                send(wanted, client=self._redis, broker=known)
            except _AWAY:
                self._hang_up()
            else:
                return
        self._broker = open_broker()
        try:
            send(wanted, client=self._redis, broker=self._broker)
        except _AWAY:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        known, self._broker = self._broker, None
        if known is not None:
            with contextlib.suppress(*_AWAY):
                known.release()


@cache
def connect() -> redis.Redis:
    """Return a client that gives up after a quarter second and never retries.

    redis-py itself drops sockets that a fork inherited.
    """
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def open_broker() -> Connection:
    """Return a connection for messages that gives up as soon as `connect` does.

    It reaches out with its first message. Not for two threads.
    """
    connection = current_app.connection_for_write()
    connection.transport_options = {
        **(connection.transport_options or {}),
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
    }
    return connection


def send(
    wanted: Iterable[tuple[str, int, bool]], *, client: redis.Redis, broker: Connection
) -> int:
    """Send what is not outstanding yet; returns how many messages went out.

    Raises redis.RedisError or kombu's OperationalError; what did not go out by then may
    be asked for again at once.
    """
    waiting = _unmarked(wanted, client=client)
    count = len(waiting)
    try:
        _send_all(waiting, broker)
    except _AWAY:
        _unmark(waiting, client=client)
        raise
    return count


def _send_all(waiting: list[tuple[str, int, bool]], broker: Connection) -> None:
    """Send the last one first and take it off the list, until none is left."""
    while waiting:
        task, shard, urgent = waiting[-1]
        current_app.send_task(
            task,
            kwargs={"shard": shard, "urgent": urgent},
            queue=_QUEUE[urgent],
            connection=broker,
            retry=False,
        )
        waiting.pop()


def _unmarked(
    wanted: Iterable[tuple[str, int, bool]], *, client: redis.Redis
) -> list[tuple[str, int, bool]]:
    """Mark what is wanted, in one round trip; returns what was not marked before."""
    asked = sorted(wanted)
    seconds = marker_seconds()
    with client.pipeline(transaction=False) as pipeline:
        for task, shard, urgent in asked:
            pipeline.set(marker(task, shard, urgent=urgent), 1, nx=True, ex=seconds)
        marked = pipeline.execute()
    return [one for one, is_new in zip(asked, marked, strict=True) if is_new]


def _unmark(unsent: Iterable[tuple[str, int, bool]], *, client: redis.Redis) -> None:
    names = [marker(task, shard, urgent=urgent) for task, shard, urgent in unsent]
    # Where this fails too the markers run out by themselves.
    with contextlib.suppress(redis.RedisError, OSError):
        client.delete(*names)


def urgent_waits() -> bool:
    """Say whether urgent work waits for a free process; False while Redis is away."""
    try:
        return bool(connect().llen(_QUEUE[True]))
    except redis.RedisError:
        return False


def mark_worker() -> None:
    """Leave a sign that a worker is at work; it fades within seconds."""
    try:
        connect().set(_WORKER_SEEN, 1, ex=_WORKER_SEEN_S)
    except redis.RedisError as error:
        logger.warning("worker.unseen", extra={"error": type(error).__name__})


def worker_seen() -> bool:
    """Say whether a worker left its sign lately; raises redis.RedisError."""
    return connect().get(_WORKER_SEEN) is not None


def taken(task: str, shard: int, *, urgent: bool) -> None:
    """Note that a message arrived, so that the next wish sends a new one.

    Called before the work: a row stored from now on gets its own message.
    """
    try:
        connect().delete(marker(task, shard, urgent=urgent))
    except redis.RedisError as error:
        # The marker runs out by itself.
        logger.warning("nudge.marker_kept", extra={"error": type(error).__name__})


_nudger: Nudger | None = None


def _current() -> Nudger:
    global _nudger  # noqa: PLW0603 - one thread per process
    if _nudger is None or not _nudger.usable:
        _nudger = Nudger()
    return _nudger


def nudge_processing(shards: Iterable[int], *, urgent: bool = False) -> None:
    """Ask for steps 4 to 7 on these shards."""
    _current().ask(PROCESS_TASK, shards, urgent=urgent)


def nudge_publishing(shards: Iterable[int], *, urgent: bool = False) -> None:
    """Ask for step 8 on these shards."""
    _current().ask(PUBLISH_TASK, shards, urgent=urgent)

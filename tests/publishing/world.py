"""A small world in which a test decides who does what when.

Relays share one database and one broker. Hooks run at named points of a relay's talk
with Kafka: a hook may let another relay work in between, or end this one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import orjson
import pytest
from django.db import transaction

from biometrics import outbox
from biometrics.messages import NewMessage, Priority
from biometrics.models import OutboxMessage, ShardLease, Subject
from biometrics.models.outbox import LeaseStep
from biometrics.publishing.choosing import Limits
from biometrics.publishing.envelope import connection_message
from biometrics.publishing.producers import (
    Cluster,
    Objection,
    OutgoingRecord,
    Progress,
    Receipt,
    RecordProducer,
)
from biometrics.publishing.relay import Outcome, Relay

# The same test in both modes of KAFKA_DELIVERY, each held to its own promise.
both_modes = pytest.mark.parametrize(
    "world", ["exactly_once", "at_least_once"], indirect=True
)

TOPIC = "biometric-events"
LEASE = timedelta(seconds=31)

Hook = Callable[[], None]


def marked(
    mark: str,
    *,
    person: UUID,
    topic: str = TOPIC,
    priority: Priority = "NORMAL",
    ce_id: UUID | None = None,
    now: datetime = datetime(2026, 11, 20, 6, 0, tzinfo=UTC),
) -> NewMessage:
    """Return a message as consumers may get it, with a mark in its value."""
    message = connection_message(
        change="connected",
        change_id=ce_id or uuid4(),
        subject=person,
        vendor="oura",
        topic=topic,
        reason=mark,
        time=now,
    )
    headers = {**message.headers, "priority": priority}
    return replace(message, headers=headers, priority=priority)


def mark_of(value: bytes) -> str:
    """Return the mark in a record's value."""
    return str(orjson.loads(value)["connection"]["reason"])


class Death(BaseException):
    """The process is gone: nothing of it runs any more."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, by: timedelta) -> None:
        self.moment += by


@dataclass
class Hooks:
    """What to run at which point; each runs once."""

    at: dict[str, Hook] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    # A sleeper's producer is neither used nor discarded until it wakes.
    sleeps: bool = False
    producer: RecordProducer | None = None

    def commit(self) -> None:
        """Let the sleeper's producer finish what it was about to do."""
        assert self.producer is not None
        self.producer.commit(deadline=time.monotonic() + 20)

    def run(self, point: str) -> None:
        self.passed.append(point)
        hook = self.at.pop(point, None)
        if hook is not None:
            hook()


class HookedProducer:
    def __init__(self, inner: RecordProducer, hooks: Hooks) -> None:
        self._inner = inner
        self._hooks = hooks
        hooks.producer = inner

    @property
    def transactional_id(self) -> str:
        return self._inner.transactional_id

    def refusal(self, record: OutgoingRecord) -> Objection | None:
        return self._inner.refusal(record)

    def stage(
        self,
        *,
        records: Sequence[OutgoingRecord],
        progress: Progress | None,
        deadline: float,
    ) -> list[Receipt]:
        self._hooks.run("before stage")
        receipts = self._inner.stage(
            records=records, progress=progress, deadline=deadline
        )
        self._hooks.run("after stage")
        return receipts

    def commit(self, *, deadline: float) -> None:
        self._hooks.run("before commit")
        self._inner.commit(deadline=deadline)
        self._hooks.run("after commit")

    def discard(self) -> None:
        self._hooks.run("discard")
        if not self._hooks.sleeps:
            self._inner.discard()


class HookedCluster:
    def __init__(self, inner: Cluster, hooks: Hooks) -> None:
        self._inner = inner
        self._hooks = hooks

    def build(self, *, transactional_id: str, deadline: float) -> RecordProducer:
        self._hooks.run("before build")
        inner = self._inner.build(transactional_id=transactional_id, deadline=deadline)
        self._hooks.run("after build")
        return HookedProducer(inner, self._hooks)

    def fence(self, *, transactional_id: str, deadline: float) -> None:
        self._hooks.run("before fence")
        self._inner.fence(transactional_id=transactional_id, deadline=deadline)
        self._hooks.run("after fence")

    def committed(self, *, shard: int, deadline: float) -> Progress | None:
        self._hooks.run("before read")
        found = self._inner.committed(shard=shard, deadline=deadline)
        self._hooks.run("after read")
        return found


class Ticket:
    """A permit that writes down what it was told."""

    def __init__(self, told: list[BaseException | None]) -> None:
        self._told = told

    def settle(self, error: BaseException | None = None) -> None:
        self._told.append(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.settle(error)


class NoBreaker:
    """Lets everything pass; `refuses` makes it say no from a given call on."""

    def __init__(self) -> None:
        self.told: list[BaseException | None] = []
        self.asked = 0
        self.refuses: Callable[[int], BaseException | None] = lambda _asked: None

    def acquire(self) -> Any:
        self.asked += 1
        error = self.refuses(self.asked)
        if error is not None:
            raise error
        return Ticket(self.told)


@dataclass
class Worker:
    """A relay in a process of its own, as far as the relay can tell."""

    relay: Relay
    hooks: Hooks
    breaker: NoBreaker
    clock: Clock
    shard: int

    def at(self, point: str, hook: Hook) -> Worker:
        self.hooks.at[point] = hook
        return self

    def dies_at(self, point: str) -> Worker:
        def die() -> None:
            raise Death(point)

        return self.at(point, die)

    def work(self, *, seconds: float = 5.0) -> Outcome:
        return self.relay.publish(
            shard=self.shard, now=self.clock, deadline=time.monotonic() + seconds
        )


class World:
    """One database, one broker, as many relays as a test wants."""

    def __init__(
        self, cluster: Cluster, *, topic: str = TOPIC, transactional: bool = True
    ) -> None:
        self.cluster = cluster
        self.topic = topic
        self.transactional = transactional
        self.clock = Clock()
        self.sent: defaultdict[UUID, list[str]] = defaultdict(list)
        self.person = self.new_person()
        self._hooks: list[Hooks] = []

    def close(self) -> None:
        """End every producer that a worker of this world still has."""
        for hooks in self._hooks:
            if hooks.producer is not None:
                hooks.producer.discard()

    def new_person(self) -> UUID:
        """Return a new person of shard 0 (the tests run with one shard)."""
        person = uuid4()
        Subject.objects.create(id=person, label="test")
        return person

    def append(
        self,
        count: int = 1,
        *,
        person: UUID | None = None,
        priority: Priority = "NORMAL",
        mark: str | None = None,
        topic: str | None = None,
    ) -> list[UUID]:
        """Append messages marked with rising numbers; return their ce_ids."""
        subject = person or self.person
        messages = []
        for _ in range(count):
            text = mark if mark is not None else str(len(self.sent[subject]))
            self.sent[subject].append(text)
            messages.append(
                marked(
                    text,
                    person=subject,
                    topic=topic or self.topic,
                    priority=priority,
                    now=self.clock(),
                )
            )
        with transaction.atomic():
            outbox.append(messages=messages, now=self.clock())
        return [message.ce_id for message in messages]

    def worker(self, *, batch: int = 500, value_bytes: int = 2**25) -> Worker:
        hooks, breaker = Hooks(), NoBreaker()
        self._hooks.append(hooks)
        relay = Relay(
            cluster=HookedCluster(self.cluster, hooks),
            breaker=breaker,
            limits=Limits(messages=batch, value_bytes=value_bytes),
            topics=frozenset({self.topic}),
            transactional=self.transactional,
        )
        return Worker(
            relay=relay, hooks=hooks, breaker=breaker, clock=self.clock, shard=0
        )

    def lease_runs_out(self) -> None:
        self.clock.advance(LEASE)

    def work_off(self, worker: Worker | None = None) -> None:
        """Work as the sweep would, until nothing is left to do."""
        active = worker or self.worker()
        for _ in range(60):
            if active.work().state == "idle":
                return
            self.clock.advance(timedelta(seconds=2))
        message = "not done after 60 turns"
        raise AssertionError(message)

    def lease(self) -> ShardLease:
        return ShardLease.objects.get(step=LeaseStep.PUBLISH, shard=0)

    def statuses(self) -> dict[str, int]:
        counts: defaultdict[str, int] = defaultdict(int)
        for status in OutboxMessage.objects.values_list("status", flat=True):
            counts[status] += 1
        return dict(counts)

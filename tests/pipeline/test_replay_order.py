"""Order per person holds through a replay while new deliveries keep coming."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from biometrics import leases, outbox, pipeline
from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    ReplayRun,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.publishing.choosing import Limits
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from biometrics.publishing.relay import Relay
from biometrics.replay import runs
from biometrics.replay.selection import Selection
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery
from tests.pipeline.acme import Acme
from tests.pipeline.world import NOW, World, record, says
from tests.publishing.world import NoBreaker

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = "acme-events"
# Two accounts of one person lie in two shards: only the person's lock orders them.
ACCOUNTS = {"alpha": "Ada", "beta": "Ada", "gamma": "Grace", "delta": "Grace"}
RECORDS = 10
_SHARDS = 4
_LIMIT_S = 90


@pytest.fixture
def world(transactional_db: None, settings: Settings) -> World:
    settings.SHARDS = _SHARDS
    settings.REPLAY_PER_SECOND = 8
    return World(now=datetime.now(tz=UTC))


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biometrics.nudges.nudge_processing", lambda _shards: None)
    monkeypatch.setattr("biometrics.pipeline._MAX_ROWS", 3)


@pytest.fixture(autouse=True)
def _slow_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass between the giving of ids and the commit: that is where order breaks."""
    append, chance = outbox.append, random.Random(1)

    def appended(**given: Any) -> set[int]:
        shards = append(**given)
        time.sleep(chance.choice((0, 0, 0, 0.2)))
        return shards

    monkeypatch.setattr(outbox, "append", appended)


@pytest.fixture
def better_mapping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    before = Acme.understand

    def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
        said = before(self, delivery)
        (one,) = said.records
        doubled = tuple(replace(r, value=r.value * 2) for r in one.readings)
        return replace(said, records=(replace(one, readings=doubled),))

    return lambda: monkeypatch.setattr(Acme, "understand", understand)


def clock() -> datetime:
    return datetime.now(tz=UTC)


@dataclass
class Fleet:
    """Threads that play beat, workers and the relay until they are told to stop."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    def start(self, pool: ThreadPoolExecutor) -> None:
        relay = Relay(
            cluster=MemoryCluster(self.broker),
            breaker=NoBreaker(),
            limits=Limits(messages=7, value_bytes=2**25),
            topics=frozenset({TOPIC}),
            transactional=True,
        )
        pool.submit(self._again, lambda: self._publish(relay))
        pool.submit(self._again, lambda: runs.advance(now=clock, budget_s=1))
        for _ in range(2):
            pool.submit(self._again, self._process)

    def _again(self, work: Callable[[], object]) -> None:
        try:
            while not self.stop.is_set():
                work()
                # A little room for the others, as SQLite has one writer.
                self.stop.wait(0.005)
        # The test fails by it instead of waiting for a thread that is gone.
        except BaseException as error:  # noqa: BLE001
            self.failures.append(error)
        finally:
            connections.close_all()

    def _process(self) -> None:
        for shard in range(_SHARDS):
            pipeline.process_shard(shard=shard, now=clock, budget_s=0.1)

    def _publish(self, relay: Relay) -> None:
        for shard in range(_SHARDS):
            relay.publish(shard=shard, now=clock, deadline=time.monotonic() + 0.1)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    found = Fleet()
    leases.ensure()
    with ThreadPoolExecutor(4) as pool:
        found.start(pool)
        yield found
        found.stop.set()


def until(fleet: Fleet, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not done():
        assert not fleet.failures, fleet.failures
        assert time.monotonic() < deadline, "not done in time"
        time.sleep(0.05)


def is_settled() -> bool:
    due = WebhookDelivery.objects.filter(status__in=["pending", "retrying"])
    unsent = OutboxMessage.objects.exclude(status="published")
    return not due.exists() and not unsent.exists()


def tell(world: World, account: str, number: int, *, version: int) -> None:
    stamp = NOW - timedelta(hours=12) + timedelta(minutes=version)
    steps = {"steps": float(1000 * number + version)}
    body = says(record(f"{account} {number}", readings=steps, stamp=stamp.isoformat()))
    world.store(body, account=account)


def test_what_comes_meanwhile_is_neither_overtaken_nor_overwritten(
    world: World, fleet: Fleet, better_mapping: Callable[[], None]
) -> None:
    people = {name: Subject.objects.create(label=name) for name in ("Ada", "Grace")}
    for account, name in ACCOUNTS.items():
        VendorConnection.objects.create(
            vendor="acme", account_id=account, subject=people[name]
        )
    for number in range(RECORDS):
        for account in ACCOUNTS:
            tell(world, account, number, version=0)
            tell(world, account, number, version=1)
    until(fleet, is_settled)
    better_mapping()
    replayed = runs.begin(Selection(), actor="ada", reason="better", now=clock())

    version = 1
    while ReplayRun.objects.get(pk=replayed.pk).is_active:
        assert not fleet.failures, fleet.failures
        version += 1
        for account in ACCOUNTS:
            # What is being replayed just now, and what has never been seen.
            tell(world, account, version % RECORDS, version=version)
            tell(world, account, RECORDS + version, version=version)
        time.sleep(0.2)
    until(fleet, is_settled)

    run = ReplayRun.objects.get(pk=replayed.pk)
    assert run.outcomes == {"processed": 2 * RECORDS * len(ACCOUNTS)}
    assert version > 3, "nothing came meanwhile"
    _check(fleet.broker)


def _check(broker: MemoryBroker) -> None:
    sequences: dict[bytes, list[bytes]] = {}
    revisions: dict[str, list[tuple[str, Any]]] = {}
    ids: list[bytes] = []
    for one in broker.read(TOPIC):
        headers = dict(one.headers)
        ids.append(headers["ce_id"])
        sequences.setdefault(one.key, []).append(headers["ce_sequence"])
        said = orjson.loads(one.value)
        revision = (said["record"]["revision"], said)
        revisions.setdefault(said["record"]["id"], []).append(revision)
    assert len(set(ids)) == len(ids) == OutboxMessage.objects.count()
    assert {UUID(key.decode()) for key in sequences} == set(
        Subject.objects.values_list("id", flat=True)
    )
    for numbers in sequences.values():
        assert numbers == sorted(numbers)
    for record_id, told in revisions.items():
        stamps = [stamp for stamp, _ in told]
        assert stamps == sorted(stamps), record_id
        standing = BiometricEvent.objects.get(record_id=record_id, status="current")
        assert told[-1][1] == standing.data
        # Everything that stands was read with the mapping of today.
        raw = orjson.loads(bytes(standing.delivery.body or b""))["records"][0]
        expected = raw["readings"]["steps"] * 2
        assert standing.data["readings"][0]["value"] == expected

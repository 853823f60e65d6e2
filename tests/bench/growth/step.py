"""Carries deliveries from intake to a broker in memory; prints what that cost as JSON.

    DATABASE_URL=postgres://… python -m tests.bench.growth.step COUNT SEED SERVER_PID

Processor time of this process and of the server, in microseconds a delivery (a message at
step 8), and the plans of the queries.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

import orjson  # noqa: E402
from django.utils import timezone  # noqa: E402

from biometrics import balances, pipeline  # noqa: E402
from biometrics.intake.postgres import _ACCOUNT, PostgresIntakeStore  # noqa: E402
from biometrics.intake.rows import DeliveryRow  # noqa: E402
from biometrics.models import OutboxMessage  # noqa: E402
from biometrics.publishing import claims  # noqa: E402
from biometrics.publishing.choosing import Limits  # noqa: E402
from biometrics.publishing.producers.memory import (  # noqa: E402
    MemoryBroker,
    MemoryCluster,
)
from biometrics.publishing.relay import Relay  # noqa: E402
from biometrics.shards import shard_of  # noqa: E402
from resilience import get_breaker  # noqa: E402
from tests.bench.drain.backlog import fill  # noqa: E402
from tests.bench.growth.plans import HotQueries  # noqa: E402
from tests.bench.hrv_rebuild import processor_s  # noqa: E402
from tests.databases import parameters_of  # noqa: E402

_BATCH = 50
_TOPICS = ("biometric-events", "terra-biometric-events", "biometric-alerts")


class Costs:
    """Microseconds a piece, by step."""

    def __init__(self, server: int) -> None:
        self._server = server
        self.found: dict[str, dict[str, float]] = {}

    @contextmanager
    def of(self, step: str, pieces: int) -> Iterator[None]:
        """Count what is done meanwhile."""
        own, served = time.process_time(), processor_s(self._server)
        yield
        each = 1e6 / max(pieces, 1)
        self.found[step] = {
            "own": each * (time.process_time() - own),
            "server": each * (processor_s(self._server) - served),
        }


async def take_in(url: str, *, count: int) -> None:
    """Store so many deliveries that no later step takes, in batches."""
    store = PostgresIntakeStore(
        parameters=parameters_of(url), process="growth", timeout_s=30
    )
    for _ in range(0, count, _BATCH):
        rows = [_row() for _ in range(_BATCH)]
        rows.sort(key=lambda row: row.dedupe_key)
        await store.insert(rows, rejected=Counter())
    await store.close()


def _row() -> DeliveryRow:
    mark = str(uuid4())
    return DeliveryRow(
        vendor="terra",
        account_id=mark,
        reference="",
        event_type="sleep",
        dedupe_key=mark,
        shard=shard_of("terra", mark),
        body=b"{}" * 500,
        headers={"content-type": "application/json"},
        traceparent="",
        secret_slot=0,
        received_at=datetime.now(tz=UTC),
        status="ignored",
    )


def understand() -> None:
    """Do steps 5 to 7 for all that is due."""
    for shard in sorted(pipeline.due_process_shards(now=timezone.now())):
        while pipeline.process_shard(
            shard=shard, now=timezone.now, budget_s=60
        ).more_due:
            pass


def publish(broker: MemoryBroker) -> None:
    """Do step 8 for all that is due, to a broker in memory."""
    relay = Relay(
        cluster=MemoryCluster(broker),
        breaker=get_breaker("kafka"),
        limits=Limits(messages=500, value_bytes=32 * 2**20),
        topics=frozenset(_TOPICS),
        transactional=True,
    )
    for shard in claims.due_shards(now=timezone.now()):
        while relay.publish(
            shard=shard, now=timezone.now, deadline=time.monotonic() + 60
        ).more_due:
            pass
    relay.close()


def watch(hot: HotQueries) -> None:
    """Ask what beat asks again and again, and for the account of a token."""
    now = timezone.now()
    with hot.at("sweep"):
        pipeline.due_process_shards(now=now)
        claims.due_shards(now=now)
        claims.urgent_shards(now=now)
    with hot.at("ledger"):
        balances.count(now=now)
    with hot.at("intake"):
        from django.db import connection  # noqa: PLC0415 - beside its one use

        with connection.cursor() as cursor:
            cursor.execute(_ACCOUNT, {"sha256": "0" * 64})


def main() -> None:
    count, seed, server = (int(argument) for argument in sys.argv[1:])
    url = os.environ["DATABASE_URL"]
    costs, hot, broker = Costs(server), HotQueries(), MemoryBroker()
    with costs.of("intake", count):
        asyncio.run(take_in(url, count=count))
    # The first deliveries of a process load what the others find.
    fill(url, count=100, seed=seed)
    understand()
    publish(broker)
    fill(url, count=count, seed=seed + 1)
    with costs.of("steps 5 to 7", count), hot.at("steps 5 to 7"):
        understand()
    waiting = OutboxMessage.objects.filter(status="pending").count()
    with costs.of("step 8", waiting), hot.at("step 8"):
        publish(broker)
    left = OutboxMessage.objects.filter(status="pending").count()
    watch(hot)
    found: dict[str, Any] = {
        "costs": costs.found,
        "messages": waiting,
        "left": left,
        "plans": [asdict(plan) for plan in hot.plans()],
    }
    sys.stdout.write(f"{orjson.dumps(found).decode()}\n")


if __name__ == "__main__":
    main()

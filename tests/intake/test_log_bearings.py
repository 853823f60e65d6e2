"""What is logged about a request or a delivery names it, in every process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from biometrics import bearings, ingest, outbox, pipeline, spans
from biometrics.bearings import Bearings
from biometrics.intake.postgres import PostgresIntakeStore
from biometrics.intake.rows import DeliveryRow, RejectedCounts, RowRefusedError
from biometrics.intake.sqlite import SqliteIntakeStore
from biometrics.models import WebhookDelivery
from biometrics.publishing import topics
from biometrics.publishing.choosing import Limits
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from biometrics.publishing.relay import Relay
from biometrics.vendors.terra.adapter import Terra
from tests import logged
from tests.bridge import RunningBridge
from tests.pipeline.world import NOW
from tests.publishing.world import NoBreaker, marked

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = f"00-{TRACE[::-1]}-00f067aa0ba902b7-01"

Told = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def told() -> Iterator[Told]:
    """Log as a bridge does, and return the lines of an event."""
    with logged.as_configured() as written:
        yield written.events


def refused(bridge: RunningBridge, **headers: str) -> None:
    answer = bridge.request("POST", "/webhooks/terra", body=b"{}", headers=headers)
    assert answer.status == 401


def body_of(user: str) -> bytes:
    return orjson.dumps({"type": "sleep", "user": {"user_id": user}, "data": []})


def test_each_request_has_an_id_of_its_own(told: Told, bridge: RunningBridge) -> None:
    for _ in range(3):
        refused(bridge, **{"X-Request-Id": "chosen-by-the-sender"})
    lines = told("delivery.refused")
    assert len({line["request_id"] for line in lines}) == 3
    assert {len(line["request_id"]) for line in lines} == {16}
    assert not any("trace_id" in line for line in lines)


def test_a_senders_trace_is_named(told: Told, bridge: RunningBridge) -> None:
    refused(bridge, traceparent=SENT)
    refused(bridge, traceparent=SENT.replace(TRACE, "0" * 32))
    first, second = told("delivery.refused")
    assert first["trace_id"] == TRACE
    assert "trace_id" not in second


def test_a_trace_that_begins_here_is_named(
    told: Told,
    bridge: RunningBridge,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.AUREN_TRACING = True
    begun = []
    begin = spans.begin

    def noted(name: str, **arguments: Any) -> spans.OpenSpan:
        begun.append(begin(name, **arguments))
        return begun[-1]

    settings.OTEL_TRACES_EXPORTER = "none"
    monkeypatch.setattr(spans, "begin", noted)
    refused(bridge)
    spans.stop()
    (line,) = told("delivery.refused")
    assert line["trace_id"] == begun[0].traceparent.split("-")[1]


def test_what_fails_unforeseen_is_told_with_its_request(
    told: Told, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django logs it in a thread, the server logs what is not even answered."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ingest, "admit", broken)
    assert bridge.deliver("terra", b"{}", headers={"traceparent": SENT}).status == 500
    (line,) = told("Internal Server Error")
    assert line["trace_id"] == TRACE
    assert len(line["request_id"]) == 16

    monkeypatch.setattr("auren.asgi._webhooks", broken)
    bridge.request(
        "POST", "/webhooks/terra", body=b"{}", headers={"traceparent": OTHER}
    )
    (line,) = told("Exception in ASGI application")
    assert line["trace_id"] == TRACE[::-1]


def test_the_writer_names_the_request_whose_row_is_refused(
    told: Told, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves all of them, and was begun by none."""
    on_sqlite = connection.vendor == "sqlite"
    kind = SqliteIntakeStore if on_sqlite else PostgresIntakeStore
    insert: Any = kind.insert

    async def picky(
        self: object, rows: Sequence[DeliveryRow], *, rejected: RejectedCounts
    ) -> Any:
        if any(row.account_id == "odd" for row in rows):
            raise RowRefusedError("The database refuses a row.")
        return await insert(self, rows, rejected=rejected)

    monkeypatch.setattr(kind, "insert", picky)

    def deliver(user: str, traceparent: str) -> int:
        headers = {"traceparent": traceparent}
        return bridge.deliver("terra", body_of(user), headers=headers).status

    with ThreadPoolExecutor(8) as pool:
        fine = [pool.submit(deliver, f"fine-{n}", SENT) for n in range(7)]
        odd = pool.submit(deliver, "odd", OTHER)
    assert {one.result() for one in fine} == {200}
    assert odd.result() == 503
    (line,) = told("intake.row_refused")
    assert line["trace_id"] == TRACE[::-1]
    assert len(line["request_id"]) == 16
    assert line["delivery"]


def test_what_a_worker_says_of_a_delivery_names_it(
    told: Told, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    for user, sent in (("one", SENT), ("other", OTHER)):
        headers = {"traceparent": sent}
        assert bridge.deliver("terra", body_of(user), headers=headers).status == 200
    monkeypatch.setattr(Terra, "understand", broken)
    for shard in pipeline.due_process_shards(now=NOW):
        pipeline.process_shard(shard=shard, now=lambda: NOW, budget_s=60)
    found = {line["delivery"]: line for line in told("delivery.adapter_failed")}
    expected = {str(d.public_id): d.traceparent for d in WebhookDelivery.objects.all()}
    assert {name: line["trace_id"] for name, line in found.items()} == {
        name: traceparent.split("-")[1] for name, traceparent in expected.items()
    }
    assert not any("request_id" in line for line in found.values())
    assert bearings.current() is None


def test_a_message_that_is_parked_names_its_cause(told: Told, db: None) -> None:
    message = marked("mark", person=uuid4(), topic="not-declared")
    message.headers["traceparent"] = SENT  # type: ignore[index]
    (shard,) = outbox.append(messages=[message], now=NOW)
    relay = Relay(
        cluster=MemoryCluster(MemoryBroker(max_bytes=1_000_000)),
        breaker=NoBreaker(),
        limits=Limits(messages=500, value_bytes=2**25),
        topics=frozenset(spec.name for spec in topics.declared()),
        transactional=True,
    )
    relay.publish(shard=shard, now=lambda: NOW, deadline=time.monotonic() + 5)
    (line,) = told("publish.parked")
    assert line["trace_id"] == TRACE


def test_what_stands_beside_is_not_mixed_up() -> None:
    """Two deliveries that are fetched at once, each in a task of its own."""

    async def told_in(traceparent: str) -> list[dict[str, str]]:
        with bearings.working_on(traceparent=traceparent):
            before = bearings.fields()
            await asyncio.sleep(0)
            with bearings.following(Bearings(traceparent=OTHER)):
                assert bearings.fields() == {"trace_id": TRACE[::-1]}
            return [before, bearings.fields()]

    async def both() -> list[list[dict[str, str]]]:
        return [*await asyncio.gather(told_in(SENT), told_in("odd-header"))]

    one, other = asyncio.run(both())
    assert one == [{"trace_id": TRACE}] * 2
    assert other == [{}, {}]

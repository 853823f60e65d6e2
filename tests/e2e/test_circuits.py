"""Each of the three circuits, with its real dependency taken away and given back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from tests.e2e.bodies import terra_sleep
from tests.e2e.documents import DocumentServer
from tests.e2e.stack import Stack, headers_of, running

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.chaos]
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
TOPIC = "terra-biometric-events"


class QuickStack(Stack):
    """Waits of seconds instead of minutes; everything else is the product's own."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            # Each batch without a broker waits for its own time-outs.
            "RESILIENCE_KAFKA_FAILURE_THRESHOLD": "2",
            "RESILIENCE_KAFKA_RECOVERY_TIMEOUT": "1",
            "RESILIENCE_KAFKA_RECOVERY_CAP": "2",
            "RESILIENCE_VENDOR_RECOVERY_TIMEOUT": "1",
            "RESILIENCE_VENDOR_RECOVERY_CAP": "2",
            "INTAKE_COMMIT_TIMEOUT_S": "1",
        }


@pytest.fixture(scope="module")
def stack(services_dir: Path) -> Iterator[Stack]:
    with running(QuickStack, services_dir) as started:
        yield started


def changes(stack: Stack, circuit: str) -> list[tuple[str, str]]:
    """Return the history of one circuit's states, oldest first."""
    return [
        (str(old), str(new))
        for old, new in stack.sql(
            "SELECT old_state, new_state FROM resilience_breakertransition"
            " WHERE breaker = %s AND old_state <> new_state ORDER BY epoch",
            circuit,
        )
    ]


def await_opening(stack: Stack, circuit: str) -> None:
    stack.until(
        lambda: ("closed", "open") in changes(stack, circuit),
        f"the circuit {circuit} opens",
        seconds=120,
    )


def await_recovery(stack: Stack, circuit: str) -> None:
    """Wait until it is closed again; its history must then be one unbroken chain."""

    def recovered() -> bool:
        seen = changes(stack, circuit)
        return ("closed", "open") in seen and seen[-1] == ("half_open", "closed")

    stack.until(recovered, f"the circuit {circuit} closes", seconds=120)
    seen = changes(stack, circuit)
    assert seen[0][0] == "closed"
    assert all(before[1] == after[0] for before, after in pairwise(seen))


def processed(stack: Stack, vendor: str) -> int:
    ((number,),) = stack.sql(
        "SELECT count(*) FROM biometrics_webhookdelivery"
        " WHERE vendor = %s AND status = 'processed'",
        vendor,
    )
    return int(number)


def sleeps(records: list[ConsumerRecord], *, days: set[str]) -> list[str]:
    """Return the nights of these days, one entry for each record of a sleep."""
    found = [
        str(orjson.loads(record.value)["local_date"])
        for record in records
        if headers_of(record)["event_type"].startswith("sleep.")
    ]
    return sorted(day for day in found if day in days)


def test_the_kafka_circuit_opens_without_its_broker_and_closes_with_it(
    stack: Stack,
) -> None:
    stack.kafka.kill9()
    user = str(uuid4())
    assert stack.deliver("terra", terra_sleep(user_id=user)).status == 200
    await_opening(stack, "kafka")
    # Nobody at the door notices.
    assert stack.deliver("terra", terra_sleep(user_id=user, ago=1)).status == 200
    stack.kafka.start()
    await_recovery(stack, "kafka")
    stack.records(TOPIC, enough=lambda records: len(records) >= 2)


def test_a_vendors_circuit_opens_without_its_api_and_closes_with_it(
    stack: Stack,
) -> None:
    notice = orjson.loads((FIXTURES / "oura/webhook_sleep_update.json").read_bytes())
    page = FIXTURES / "oura/community_api_sleep_page1_mcp.json"
    sleep = orjson.loads(page.read_bytes())["data"][0]
    stack.manage(
        *("connections", "add", "--vendor", "oura", "--account", notice["user_id"]),
        *("--label", "circuit", "--access-token", "token"),
        *("--refresh-token", "refresh", "--expires-at", "2099-01-01T00:00:00Z"),
    )
    ids = [f"night-{number}" for number in range(6)]
    for object_id in ids:
        body = orjson.dumps({**notice, "object_id": object_id})
        assert stack.deliver("oura", body).status == 200
    await_opening(stack, "vendor:oura")
    assert processed(stack, "oura") == 0

    server = DocumentServer(
        port=stack.vendors_port,
        documents={
            f"/oura/v2/usercollection/sleep/{object_id}": orjson.dumps(
                {**sleep, "id": object_id}
            )
            for object_id in ids
        },
    )
    server.start()
    try:
        await_recovery(stack, "vendor:oura")
        stack.until(
            lambda: processed(stack, "oura") == len(ids),
            "all documents came",
            seconds=120,
        )
    finally:
        server.stop()


def test_the_database_circuit_opens_without_its_server_and_closes_with_it(
    stack: Stack,
) -> None:
    body = terra_sleep(user_id=str(uuid4()))
    stack.postgres.kill9()
    # Three failures in the fleet open it; the rest is refused without asking.
    for _ in range(8):
        answer = stack.deliver("terra", body)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
    stack.postgres.start()
    stack.until(
        lambda: stack.deliver("terra", body).status == 200, "intake works again"
    )
    # Written afterwards, from the log in Redis: there was no table to write into.
    await_recovery(stack, "database")


def test_a_frozen_database_does_not_hold_intake(stack: Stack) -> None:
    body = terra_sleep(user_id=str(uuid4()))
    process = stack.postgres.process
    assert process is not None
    known = len(changes(stack, "database"))
    process.pause()
    try:
        # An answer that does not come ends in this client's time limit. The request that
        # opens the circuit must not wait for a table in the same frozen server either.
        for _ in range(8):
            assert stack.deliver("terra", body, timeout=4).status == 503
    finally:
        process.resume()
    stack.until(
        lambda: stack.deliver("terra", body).status == 200, "intake works again"
    )
    stack.until(
        lambda: changes(stack, "database")[known:][:1] == [("closed", "open")],
        "the history says so",
    )


def mode(stack: Stack) -> float:
    """Return the mode of Kafka's circuit as Prometheus reads it from web."""
    page = stack.request("GET", "/metrics").body.decode()
    (value,) = re.findall(r'breaker_mode{breaker="kafka"} (\S+)', page)
    return float(value)


def test_an_operator_stops_publishing_and_lets_it_go_on(stack: Stack) -> None:
    user = str(uuid4())
    days = {
        orjson.loads(terra_sleep(user_id=user, ago=ago))["data"][0]["metadata"][
            "end_time"
        ][:10]
        for ago in (20, 21, 22)
    }
    stack.manage("breaker", "open", "kafka", "--reason", "test of the operator")
    for ago in (22, 21, 20):
        answer = stack.deliver("terra", terra_sleep(user_id=user, ago=ago))
        assert answer.json["status"] == "accepted"
    waiting = (
        "SELECT count(*) FROM biometrics_outboxmessage m JOIN"
        " biometrics_vendorconnection c ON c.subject_id = m.subject"
        " WHERE c.account_id = %s AND m.event_type LIKE 'sleep.%%' AND m.status = %s"
    )
    stack.until(
        lambda: stack.sql(waiting, user, "pending") == [(3,)],
        "the messages wait in the outbox",
    )
    here = sleeps(stack.records(TOPIC, enough=lambda _records: True), days=days)
    assert here == []
    # The web process has looked at the circuit, and does not use it.
    assert stack.request("GET", "/ready").status == 200
    assert mode(stack) == 1

    stack.manage("breaker", "auto", "kafka", "--reason", "test is over")
    assert mode(stack) == 0
    stack.until(
        lambda: stack.sql(waiting, user, "published") == [(3,)], "the backlog is gone"
    )
    records = stack.records(
        TOPIC, enough=lambda found: len(sleeps(found, days=days)) >= 3
    )
    assert sleeps(records, days=days) == sorted(days)
    told = stack.sql(
        "SELECT old_mode, new_mode, reason FROM resilience_breakertransition"
        " WHERE breaker = 'kafka' AND old_mode <> new_mode ORDER BY epoch"
    )
    assert told == [
        ("auto", "forced_open", "test of the operator"),
        ("forced_open", "auto", "test is over"),
    ]

"""What dies comes back, and nothing that was acknowledged is missing or doubled."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from auren.devstack.process import process_tree
from tests.e2e.bodies import USUAL_HRV, terra_sleep
from tests.e2e.deadly_worker import MARK
from tests.e2e.stack import Stack, headers_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.chaos]
TOPIC = "terra-biometric-events"


def send(stack: Stack, *, users: list[str], days: range) -> None:
    """Deliver one sleep a day of each person, in order for each person."""

    def of(mine: list[str]) -> None:
        for day in days:
            for user in mine:
                body = terra_sleep(user_id=user, ago=30 - day, rmssd=USUAL_HRV[day % 5])
                answer = stack.deliver("terra", body)
                # Just after an outage a process may still say so once: senders
                # come again.
                while answer.status == 503:
                    time.sleep(float(answer.headers["retry-after"]))
                    answer = stack.deliver("terra", body)
                if answer.status != 200:
                    refused.append(answer.status)

    refused: list[int] = []
    threads = [
        threading.Thread(target=of, args=(users[n::4],), daemon=True) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []


def sleeps_of(records: list[ConsumerRecord], keys: set[str]) -> list[ConsumerRecord]:
    return [
        r
        for r in records
        if r.key.decode() in keys and headers_of(r)["event_type"].startswith("sleep.")
    ]


def keys_of(stack: Stack, users: list[str]) -> set[str]:
    found = stack.sql(
        "SELECT subject_id::text FROM biometrics_vendorconnection"
        " WHERE account_id = ANY(%s)",
        users,
    )
    return {key for (key,) in found}


def check_all_once_in_order(stack: Stack, *, users: list[str], days: range) -> None:
    """Count with an independent reader: lost, doubled, out of order must be zero."""
    wanted = len(users) * len(days)
    stack.until(
        lambda: (
            stack.sql(
                "SELECT count(*) FROM biometrics_webhookdelivery"
                " WHERE account_id = ANY(%s) AND status = 'processed'",
                users,
            )
            == [(wanted,)]
        ),
        f"{wanted} deliveries are processed",
        seconds=180,
    )
    keys = keys_of(stack, users)
    assert len(keys) == len(users)
    found = sleeps_of(
        stack.records(
            TOPIC,
            enough=lambda rs: len(sleeps_of(rs, keys)) >= wanted,
            seconds=180,
        ),
        keys,
    )
    doubled = [
        k for k, n in Counter(headers_of(r)["ce_id"] for r in found).items() if n > 1
    ]
    assert doubled == []
    assert len(found) == wanted
    dates: dict[str, list[str]] = defaultdict(list)
    for record in sorted(found, key=lambda r: (r.partition, r.offset)):
        dates[record.key.decode()].append(orjson.loads(record.value)["local_date"])
    assert all(seen == sorted(seen) for seen in dates.values())


def test_a_killed_worker_loses_and_doubles_nothing(stack: Stack) -> None:
    """Kill -9 of the worker with all its children in the middle of 2,000 deliveries."""
    users = [str(uuid4()) for _ in range(100)]
    days = range(1, 21)
    done = threading.Event()

    def kill() -> None:
        query = (
            "SELECT count(*) FROM biometrics_webhookdelivery WHERE status = 'processed'"
        )
        for least in (300, 900):
            while stack.sql(query)[0][0] < least and not done.wait(0.02):
                pass
            children = process_tree(stack.processes["worker"].pid)
            assert len(children) > 4
            stack.processes["worker"].kill9()
            stack.start_worker()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    send(stack, users=users, days=days)
    killer.join(120)
    done.set()
    check_all_once_in_order(stack, users=users, days=days)


def test_kafka_away_for_half_a_minute(stack: Stack) -> None:
    users = [str(uuid4()) for _ in range(25)]
    days = range(1, 9)
    stack.kafka.kill9()
    gone = threading.Event()
    send(stack, users=users, days=days)
    gone.wait(30)
    stack.kafka.start()
    check_all_once_in_order(stack, users=users, days=days)


def test_redis_away_and_wiped(stack: Stack) -> None:
    users = [str(uuid4()) for _ in range(10)]
    days = range(1, 5)
    stack.valkey.kill9()
    send(stack, users=users, days=days)
    stack.valkey.start()
    check_all_once_in_order(stack, users=users, days=days)


def test_worker_away(stack: Stack) -> None:
    users = [str(uuid4()) for _ in range(10)]
    days = range(1, 5)
    stack.processes["worker"].kill9()
    send(stack, users=users, days=days)
    stack.start_worker()
    check_all_once_in_order(stack, users=users, days=days)


def test_database_away_is_said_at_once_and_ends_with_it(stack: Stack) -> None:
    user = str(uuid4())
    body = terra_sleep(user_id=user)
    stack.postgres.kill9()
    answer = stack.deliver("terra", body)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert stack.request("GET", "/ready").status == 503
    assert stack.request("GET", "/health").status == 200
    stack.postgres.start()
    stack.until(
        lambda: stack.deliver("terra", body).status == 200, "intake works again"
    )
    check_all_once_in_order(stack, users=[user], days=range(1, 2))


def end_worker(stack: Stack) -> None:
    """Have the worker stopped as a supervisor does: it has 15 s, all of it."""
    worker = stack.processes["worker"]
    family = process_tree(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15), "the worker still runs 15 s after SIGTERM"
    assert worker.returncode == 0, worker.last_lines
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []


def test_a_worker_that_is_stopped_ends_what_it_had_begun(stack: Stack) -> None:
    users = [str(uuid4()) for _ in range(20)]
    days = range(1, 21)
    sender = threading.Thread(
        target=send, args=(stack,), kwargs={"users": users, "days": days}, daemon=True
    )
    sender.start()
    stack.until(
        lambda: len(keys_of(stack, users)) == len(users), "the worker is at work"
    )
    end_worker(stack)
    # Nothing was left to be cleared up by a successor.
    assert stack.sql(
        "SELECT count(*) FROM biometrics_shardlease WHERE NOT is_clean"
    ) == [(0,)]
    in_batch = "SELECT count(*) FROM biometrics_outboxmessage WHERE status = 'in_batch'"
    assert stack.sql(in_batch) == [(0,)]
    stack.start_worker()
    sender.join(120)
    check_all_once_in_order(stack, users=users, days=days)


def test_a_worker_that_is_stopped_does_not_wait_for_a_silent_broker(
    stack: Stack,
) -> None:
    users = [str(uuid4())]
    stack.kafka.process.pause()
    try:
        send(stack, users=users, days=range(1, 3))
        stack.until(
            lambda: stack.sql(
                "SELECT 1 FROM biometrics_outboxmessage m"
                " JOIN biometrics_vendorconnection c ON c.subject_id = m.subject"
                " WHERE c.account_id = %s",
                users[0],
            ),
            "the worker has messages for Kafka",
        )
        end_worker(stack)
    finally:
        stack.kafka.process.resume()
        stack.start_worker()
    check_all_once_in_order(stack, users=users, days=range(1, 3))


def test_a_delivery_that_kills_its_worker_is_parked_after_three_deaths(
    stack: Stack,
) -> None:
    users = [str(uuid4()) for _ in range(5)]
    days = range(1, 4)
    stack.processes["worker"].kill9()
    deadly = terra_sleep(user_id=users[0], note=MARK.decode())
    assert stack.deliver("terra", deadly).status == 200
    send(stack, users=users, days=days)
    stack.start_worker("tests.e2e.deadly_worker")
    try:
        parked = "SELECT error FROM biometrics_webhookdelivery WHERE status = %s"
        stack.until(
            lambda: stack.sql(parked, "parked"), "the deadly one is parked", seconds=120
        )
        ((reason,),) = stack.sql(parked, "parked")
        assert "The worker died 3 times" in reason
    finally:
        stack.processes["worker"].kill9()
        stack.start_worker()
    # It took nobody with it, not even others of its person.
    check_all_once_in_order(stack, users=users, days=days)

"""Messages that tell workers of work: few, never lost for long, never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import current_app
from kombu import Connection
from kombu.exceptions import OperationalError
from pytest_django.fixtures import Settings

from biometrics import nudges

PROCESS = nudges.PROCESS_TASK
PUBLISH = nudges.PUBLISH_TASK


@pytest.fixture
def client(redis_url: str, settings: Settings) -> Iterator[redis.Redis]:
    """Have nudges go to an empty Redis, and return a client of it."""
    settings.REDIS_URL = redis_url
    nudges.connect.cache_clear()
    broker = current_app.conf["broker_url"]
    current_app.conf["broker_url"] = redis_url
    yield nudges.connect()
    current_app.conf["broker_url"] = broker
    nudges.connect.cache_clear()


@pytest.fixture
def broker(client: redis.Redis) -> Iterator[Connection]:
    with nudges.open_broker() as connection:
        yield connection


def waiting(client: redis.Redis) -> dict[str, int]:
    return {name: int(client.llen(name)) for name in ("auren-urgent", "auren")}


def test_a_shard_has_one_message_outstanding_for_each_step(
    client: redis.Redis, broker: Connection
) -> None:
    wanted = {(PROCESS, 1, False), (PUBLISH, 1, False), (PROCESS, 2, False)}
    assert nudges.send(wanted, client=client, broker=broker) == 3
    assert nudges.send(wanted, client=client, broker=broker) == 0
    assert waiting(client) == {"auren-urgent": 0, "auren": 3}


def test_urgent_work_does_not_wait_behind_what_is_outstanding(
    client: redis.Redis,
    broker: Connection,
) -> None:
    nudges.send({(PUBLISH, 1, False)}, client=client, broker=broker)
    assert not nudges.urgent_waits()
    assert nudges.send({(PUBLISH, 1, True)}, client=client, broker=broker) == 1
    assert nudges.urgent_waits()
    assert waiting(client) == {"auren-urgent": 1, "auren": 1}


def test_a_message_that_arrived_makes_room_for_the_next(
    client: redis.Redis, broker: Connection
) -> None:
    nudges.send({(PROCESS, 1, False)}, client=client, broker=broker)
    nudges.taken(PROCESS, 1, urgent=False)
    assert nudges.send({(PROCESS, 1, False)}, client=client, broker=broker) == 1


@pytest.mark.parametrize(
    ("shards", "workers", "seconds"), [(16, 4, 15), (64, 4, 37), (1024, 4, 517)]
)
def test_a_message_is_taken_for_lost_only_after_a_full_queue(
    client: redis.Redis,
    broker: Connection,
    *,
    settings: Settings,
    shards: int,
    workers: int,
    seconds: int,
) -> None:
    settings.SHARDS, settings.WORKERS = shards, workers
    nudges.send({(PROCESS, 1, False)}, client=client, broker=broker)
    name = nudges.marker(PROCESS, 1, urgent=False)
    assert seconds - 1 <= client.ttl(name) <= seconds


def test_what_could_not_be_sent_may_be_asked_for_again_at_once(
    client: redis.Redis, broker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {(PROCESS, shard, False) for shard in range(5)}
    send_task = current_app.send_task
    sent: list[int] = []

    def breaks_off(*args: Any, **options: Any) -> Any:
        if len(sent) == 2:
            raise OperationalError("gone")
        sent.append(options["kwargs"]["shard"])
        return send_task(*args, **options)

    monkeypatch.setattr(current_app, "send_task", breaks_off)
    with pytest.raises(OperationalError):
        nudges.send(wanted, client=client, broker=broker)
    monkeypatch.undo()
    assert nudges.send(wanted, client=client, broker=broker) == 3
    assert waiting(client)["auren"] == 5


def test_a_wiped_redis_has_room_for_every_message(
    client: redis.Redis, broker: Connection
) -> None:
    nudges.send({(PROCESS, 1, False)}, client=client, broker=broker)
    client.flushdb()
    assert nudges.send({(PROCESS, 1, False)}, client=client, broker=broker) == 1


def arrived(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=20) as patient:
        return patient.blpop(["auren"], timeout=10) is not None


def test_nudges_share_one_connection(client: redis.Redis, redis_url: str) -> None:
    nudger = nudges.Nudger()
    nudger.ask(PROCESS, [1], urgent=False)
    assert arrived(redis_url)
    before = client.info("stats")["total_connections_received"]
    for shard in (2, 3, 4):
        nudger.ask(PROCESS, [shard], urgent=False)
        assert arrived(redis_url)
    # One for each look of ours, none for a nudge.
    assert client.info("stats")["total_connections_received"] == before + 3


def test_a_nudge_survives_that_the_connection_was_cut(
    client: redis.Redis, redis_url: str
) -> None:
    nudger = nudges.Nudger()
    nudger.ask(PROCESS, [1], urgent=False)
    assert arrived(redis_url)
    client.client_kill_filter(_type="normal", skipme=True)
    nudger.ask(PROCESS, [2], urgent=False)
    assert arrived(redis_url)

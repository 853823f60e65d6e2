"""Messages that tell workers of work: few, never lost for long, never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import current_app
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


def waiting(client: redis.Redis) -> dict[str, int]:
    return {name: int(client.llen(name)) for name in ("auren-urgent", "auren")}


def test_a_shard_has_one_message_outstanding_for_each_step(client: redis.Redis) -> None:
    wanted = {(PROCESS, 1, False), (PUBLISH, 1, False), (PROCESS, 2, False)}
    assert nudges.send(wanted, client=client) == 3
    assert nudges.send(wanted, client=client) == 0
    assert waiting(client) == {"auren-urgent": 0, "auren": 3}


def test_urgent_work_does_not_wait_behind_what_is_outstanding(
    client: redis.Redis,
) -> None:
    nudges.send({(PUBLISH, 1, False)}, client=client)
    assert not nudges.urgent_waits()
    assert nudges.send({(PUBLISH, 1, True)}, client=client) == 1
    assert nudges.urgent_waits()
    assert waiting(client) == {"auren-urgent": 1, "auren": 1}


def test_a_message_that_arrived_makes_room_for_the_next(client: redis.Redis) -> None:
    nudges.send({(PROCESS, 1, False)}, client=client)
    nudges.taken(PROCESS, 1, urgent=False)
    assert nudges.send({(PROCESS, 1, False)}, client=client) == 1


@pytest.mark.parametrize(
    ("shards", "workers", "seconds"), [(16, 4, 15), (64, 4, 37), (1024, 4, 517)]
)
def test_a_message_is_taken_for_lost_only_after_a_full_queue(
    client: redis.Redis,
    settings: Settings,
    shards: int,
    workers: int,
    seconds: int,
) -> None:
    settings.SHARDS, settings.WORKERS = shards, workers
    nudges.send({(PROCESS, 1, False)}, client=client)
    name = nudges.marker(PROCESS, 1, urgent=False)
    assert seconds - 1 <= client.ttl(name) <= seconds


def test_what_could_not_be_sent_may_be_asked_for_again_at_once(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
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
        nudges.send(wanted, client=client)
    monkeypatch.undo()
    assert nudges.send(wanted, client=client) == 3
    assert waiting(client)["auren"] == 5


def test_a_wiped_redis_has_room_for_every_message(client: redis.Redis) -> None:
    nudges.send({(PROCESS, 1, False)}, client=client)
    client.flushdb()
    assert nudges.send({(PROCESS, 1, False)}, client=client) == 1

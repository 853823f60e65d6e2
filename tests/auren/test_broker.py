"""A worker outlives the loss of Redis with messages in hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Connection, Queue
from redis import Redis

from auren import celery  # the application makes channels patient

pytestmark = pytest.mark.redis
QUEUE = Queue("patience", routing_key="patience")
logger = logging.getLogger(__name__)


def test_a_channel_that_outlives_its_connection_keeps_its_messages(
    redis_url: str,
) -> None:
    assert celery.app is not None
    connection = Connection(redis_url)
    channel: Any = connection.channel()
    QUEUE(channel).declare()
    connection.Producer(channel).publish("one", routing_key="patience")
    message = QUEUE(channel).get()
    assert message is not None
    store = Redis.from_url(redis_url)
    assert store.hlen("unacked") == 1

    # As Celery's consumer does it after "Connection to broker lost".
    connection.transport.client = None
    channel.close()
    assert store.hlen("unacked") == 1
    assert store.llen("patience") == 0
    store.close()


def test_a_channel_with_a_connection_puts_them_back(redis_url: str) -> None:
    with Connection(redis_url) as connection:
        channel: Any = connection.channel()
        QUEUE(channel).declare()
        connection.Producer(channel).publish("one", routing_key="patience")
        assert QUEUE(channel).get() is not None
        channel.close()
        store = Redis.from_url(redis_url)
        assert (store.hlen("unacked"), store.llen("patience")) == (0, 1)
        store.close()


@pytest.mark.parametrize(
    "end",
    [
        lambda message, errors: message.ack_log_error(logger, errors),
        lambda message, errors: message.reject_log_error(logger, errors),
        lambda message, errors: message.reject_log_error(logger, errors, requeue=True),
    ],
    ids=["acknowledged", "refused", "put back"],
)
def test_a_task_may_outlive_the_connection_that_its_message_came_by(
    redis_url: str, end: Callable[[Any, Any], None]
) -> None:
    """Celery has no answer to what this raises: its main process would end."""
    connection = Connection(redis_url)
    channel: Any = connection.channel()
    QUEUE(channel).declare()
    connection.Producer(channel).publish("one", routing_key="patience")
    message = QUEUE(channel).get()
    connection.transport.client = None
    channel.close()

    end(message, connection.connection_errors)

    with Redis.from_url(redis_url) as store:
        assert (store.hlen("unacked"), store.llen("patience")) == (1, 0)

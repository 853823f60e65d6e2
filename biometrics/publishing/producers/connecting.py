"""Connecting without leaving sockets behind when nobody answers.

The client's constructors connect, and forget what they had opened when that fails; while
a broker is away, that would be some sockets at each attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka.net.compat import KafkaNetClient


@contextmanager
def closed_on_failure() -> Iterator[Callable[..., KafkaNetClient]]:
    """Give the `kafka_client` option of a constructor that is called inside."""
    made: list[KafkaNetClient] = []

    def connect(**config: Any) -> KafkaNetClient:
        client = KafkaNetClient(**config)
        made.append(client)
        return client

    try:
        yield connect
    except BaseException:
        for client in made:
            client.close()
        raise

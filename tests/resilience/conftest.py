"""Circuits by the project's settings, over a Redis of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pytest_django.fixtures import Settings

from resilience import registry

POLICIES: dict[str, dict[str, Any]] = {
    "kafka": {"failure_threshold": 2, "recovery_timeout": 10},
    "vendor:*": {"failure_threshold": 2},
    "database": {"failure_threshold": 2, "record_at_once": False},
}


@pytest.fixture(autouse=True)
def _close_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every Redis client that a test or a store of it has made."""
    made: list[redis.Redis] = []
    initialise = redis.Redis.__init__

    def remember(client: redis.Redis, *args: Any, **kwargs: Any) -> None:
        initialise(client, *args, **kwargs)
        made.append(client)

    monkeypatch.setattr(redis.Redis, "__init__", remember)
    yield
    for client in made:
        client.close()


@pytest.fixture
def circuits(settings: Settings, redis_url: str) -> Iterator[str]:
    """Put the project's circuits on a Redis of this test alone; give its URL."""
    settings.RESILIENCE = POLICIES
    settings.RESILIENCE_REDIS_URL = redis_url
    registry.clear()
    yield redis_url
    registry.clear()


@pytest.fixture
def lose_redis(settings: Settings) -> Callable[[], None]:
    """Give a function after which no Redis answers."""

    def lose() -> None:
        # Nothing listens on port 1: refused at once.
        settings.RESILIENCE_REDIS_URL = "redis://127.0.0.1:1/0"

    return lose

"""Worlds over the memory broker."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from tests.publishing.world import TOPIC, World, mark_of


@pytest.fixture
def one_shard(settings: Settings) -> None:
    """Every person belongs to shard 0."""
    settings.SHARDS = 1


@pytest.fixture
def broker() -> MemoryBroker:
    """Return an empty broker in memory."""
    return MemoryBroker()


@pytest.fixture
def world(db: None, one_shard: None, broker: MemoryBroker) -> World:
    """Return a world over the memory broker."""
    return World(MemoryCluster(broker))


@pytest.fixture
def visible(broker: MemoryBroker) -> Callable[[], dict[UUID, list[str]]]:
    """Return the marks that a read_committed reader sees of each person, in order."""

    def read() -> dict[UUID, list[str]]:
        seen: dict[UUID, list[str]] = {}
        for item in broker.read(TOPIC):
            seen.setdefault(UUID(item.key.decode()), []).append(mark_of(item.value))
        return seen

    return read

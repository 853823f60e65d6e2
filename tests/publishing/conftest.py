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
def world(
    request: pytest.FixtureRequest, db: None, one_shard: None, broker: MemoryBroker
) -> World:
    """Return a world over the memory broker; see `both_modes`."""
    mode = getattr(request, "param", "exactly_once")
    return World(MemoryCluster(broker), transactional=mode == "exactly_once")


@pytest.fixture
def visible(broker: MemoryBroker, world: World) -> Callable[[], dict[UUID, list[str]]]:
    """Return the marks that a read_committed reader sees of each person, in order.

    In the weaker mode the reader does what its consumers must do: it leaves out what
    has a ce_id that it has seen.
    """
    # As it began: a test may change the world's mode.
    leaves_out = not world.transactional

    def read() -> dict[UUID, list[str]]:
        seen: dict[UUID, list[str]] = {}
        known: set[bytes] = set()
        for item in broker.read(TOPIC):
            ce_id = dict(item.headers)["ce_id"]
            if leaves_out and ce_id in known:
                continue
            known.add(ce_id)
            seen.setdefault(UUID(item.key.decode()), []).append(mark_of(item.value))
        return seen

    return read

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from auren.devstack.process import ServiceError
from tests.e2e.stack import Stack
from tests.services import unavailable


@pytest.fixture(scope="module")
def stack(services_dir: Path) -> Iterator[Stack]:
    """Return a running bridge with PostgreSQL, Valkey and Kafka of its own."""
    import uuid  # noqa: PLC0415

    running = Stack(services_dir / f"stack-{uuid.uuid4().hex[:8]}")
    try:
        running.start()
    except ServiceError as error:
        running.stop()
        unavailable("postgres", reason=str(error))
    yield running
    running.stop()

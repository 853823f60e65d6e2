from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, running


@pytest.fixture(scope="module")
def stack(services_dir: Path) -> Iterator[Stack]:
    """Return a running bridge with PostgreSQL, Valkey and Kafka of its own."""
    with running(Stack, services_dir) as started:
        yield started

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bridge import RunningBridge


@pytest.fixture
def bridge(transactional_db: None) -> Iterator[RunningBridge]:
    running = RunningBridge()
    running.start()
    yield running
    running.stop()

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bridge import RunningBridge
from tests.intake.attacked import Web, assert_nothing_failed


@pytest.fixture
def bridge(transactional_db: None) -> Iterator[RunningBridge]:
    running = RunningBridge()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    running = Web(tmp_path_factory.mktemp("attacked"))
    yield running
    # However it was answered: no request may have run into an error of ours.
    running.stop()
    assert_nothing_failed(running)

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bridge import RunningBridge
from tests.intake.attacked import Web


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
    said = "\n".join(running.lines)
    running.stop()
    assert "Traceback" not in said
    assert '"exception"' not in said, said[-2000:]

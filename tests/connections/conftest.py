from __future__ import annotations

from collections.abc import Iterator

import pytest

from resilience import registry as circuits


@pytest.fixture(autouse=True)
def _fresh_breakers() -> Iterator[None]:
    """Let no circuit of another test be open."""
    circuits.clear()
    yield
    circuits.clear()

from __future__ import annotations

from collections.abc import Iterator

import pytest

from biometrics.vendors import registry
from tests.pipeline.world import World


@pytest.fixture(autouse=True)
def _acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the test vendors beside the real ones."""
    monkeypatch.setitem(registry.VENDORS, "acme", "tests.pipeline.acme.Acme")
    monkeypatch.setitem(
        registry.VENDORS, "acme-notify", "tests.pipeline.acme.AcmeNotify"
    )
    registry.get_adapter.cache_clear()
    yield
    registry.get_adapter.cache_clear()


@pytest.fixture
def world(db: None) -> World:
    return World()

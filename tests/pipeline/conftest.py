from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from biometrics.connections import downloads
from biometrics.vendors import registry
from resilience import registry as circuits
from tests.pipeline.bucket import Bucket
from tests.pipeline.vendor_server import VendorServer
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


@pytest.fixture
def vendor_server(settings: Settings) -> Iterator[VendorServer]:
    """Serve the notifying test vendor's API; the bridge is told where."""
    server = VendorServer()
    server.start()
    settings.AUREN_VENDORS = {
        **settings.AUREN_VENDORS,
        "acme-notify": {
            "client_id": "bridge",
            "client_secret": "bridge-secret",
            "api_base": server.base,
        },
    }
    yield server
    server.stop()


@pytest.fixture
def fresh_breakers() -> Iterator[None]:
    """Let no circuit of another test be open."""
    circuits.clear()
    yield
    circuits.clear()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Serve payloads at the address that a ping names, and nowhere else."""
    server = Bucket(tmp_path)
    server.start()
    monkeypatch.setattr(downloads, "connector", server.connector)
    yield server
    server.stop()

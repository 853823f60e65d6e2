from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from resilience import registry as circuits
from tests.connections.vendors import running_fakes
from tests.recovery.vendors import Vendors


@pytest.fixture
def vendors(settings: Settings, transactional_db: None) -> Iterator[Vendors]:
    """Serve the fake vendors with small pages; the bridge is told where they are."""
    circuits.clear()
    with running_fakes() as (url, world):
        world.page_size = 3
        known = dict(settings.AUREN_VENDORS)
        for slug in ("oura", "whoop", "terra"):
            known[slug] = {**known[slug], "api_base": f"{url}/{slug}"}
        settings.AUREN_VENDORS = known
        yield Vendors(world=world)
    circuits.clear()

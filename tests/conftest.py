"""What every test can ask for. Real servers come from tests/services.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from auren.devstack.postgres import TemporaryPostgres
from tests.databases import migrate

pytest_plugins = ["tests.services"]
_TEMPLATE = "auren_template"


@pytest.fixture(scope="session")
def make_migrated_postgres(_shared_postgres: TemporaryPostgres) -> Callable[[], str]:
    """Make databases with the bridge's empty tables; they go with the server."""
    _shared_postgres.execute(f'CREATE DATABASE "{_TEMPLATE}"')
    migrate(_shared_postgres.url_of(database=_TEMPLATE))

    def make() -> str:
        name = f"bridge_{uuid.uuid4().hex[:12]}"
        _shared_postgres.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
        return _shared_postgres.url_of(database=name)

    return make


@pytest.fixture
def migrated_postgres(make_migrated_postgres: Callable[[], str]) -> str:
    """Return the URL of a PostgreSQL database with the bridge's empty tables."""
    return make_migrated_postgres()

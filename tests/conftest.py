"""What every test can ask for. Real servers come from tests/services.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from auren.devstack.postgres import TemporaryPostgres
from tests import wire
from tests.databases import migrate

pytest_plugins = ["tests.services"]
_TEMPLATE = "auren_template"


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what does not apply, instead of skipping it at each run.

    On PostgreSQL only what depends on Django's database runs: the rest has run. A
    contract class names the tests that its subject cannot have in `inapplicable()`.
    """
    on_sqlite = "sqlite" in settings.DATABASES["default"]["ENGINE"]
    left_out = [
        item
        for item in items
        if _is_inapplicable(item) or not (on_sqlite or _uses_database(item))
    ]
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]


def _is_inapplicable(item: pytest.Item) -> bool:
    contract = getattr(item, "cls", None)
    if contract is None or not hasattr(contract, "inapplicable"):
        return False
    return getattr(item, "originalname", item.name) in contract.inapplicable()


def _uses_database(item: pytest.Item) -> bool:
    if getattr(getattr(item, "cls", None), "sqlite_only", False):
        return False
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or any(
        name in fixtures for name in ("db", "transactional_db")
    )


@pytest.fixture(autouse=True)
def _every_record_is_as_promised() -> Iterator[None]:
    """Hold whatever this process would publish to the contract with consumers."""
    with wire.watch() as watching:
        yield
    if watching.found:
        pytest.fail("\n".join(["Records break the contract:", *watching.found[:20]]))


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

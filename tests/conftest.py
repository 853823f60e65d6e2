"""What every test can ask for. Real servers come from tests/services.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from pytest_django import DjangoDbBlocker

from auren.devstack.postgres import TemporaryPostgres
from biometrics.connections import pacing
from tests import wire
from tests.databases import migrate

pytest_plugins = ["tests.leaks", "tests.services"]
# No test is timed: an example that takes long says that the machine is busy.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")
_TEMPLATE = "auren_template"
_GROUPS: dict[str, list[tuple[str, str]]] = {}
_BLOCKER = pytest.StashKey[DjangoDbBlocker]()


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


@pytest.fixture(autouse=True)
def _no_vendor_is_left_alone() -> Iterator[None]:
    """Let no test wait for what a vendor asked of another one."""
    yield
    pacing.forget()


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """Remember what the migrations gave each group, as app labels and code names."""
    with django_db_blocker.unblock():
        rows = Group.objects.values_list(
            "name", "permissions__content_type__app_label", "permissions__codename"
        )
        for name, label, codename in rows:
            _GROUPS.setdefault(name, []).append((label, codename))
    assert _GROUPS, "the groups of the migrations are missing"
    request.config.stash[_BLOCKER] = django_db_blocker


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Put back what the migrations stored, once a test has emptied the tables.

    Tests do not depend on which of them ran in the same process before.
    """
    result = yield
    # After the last test the tables themselves are gone.
    is_last = nextitem is None
    if not is_last and _empties_tables(item) and _BLOCKER in item.config.stash:
        with item.config.stash[_BLOCKER].unblock():
            _restore_groups()
    return result


def _restore_groups() -> None:
    known = {
        (label, codename): pk
        for label, codename, pk in Permission.objects.values_list(
            "content_type__app_label", "codename", "pk"
        )
    }
    for name, granted in _GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set([known[one] for one in granted])


def _empties_tables(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    is_marked = marker is not None and bool(marker.kwargs.get("transaction"))
    return is_marked or "transactional_db" in getattr(item, "fixturenames", ())


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

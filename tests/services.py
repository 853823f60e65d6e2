"""Real services for the tests: started when the first test asks, ended with the run.

Fixtures for one shared server: ``valkey`` (URL), ``kafka`` (bootstrap servers),
``postgres`` (DATABASE_URL). What a test wants for itself: ``redis_url``,
``make_topic``, ``make_database``. A server that a test may kill, freeze and restart:
``own_valkey``, ``own_kafka``, ``own_postgres``. ``chromium`` is the browser's path.

A service that this machine cannot offer is a skip that says why, and a failure when
AUREN_REQUIRE (comma-separated: postgres, redis, kafka, browser, nginx, promtool, files
for enough open files, tools for what the README's blocks are typed with) names it. One
that is here and does not start is always a failure.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import UnavailableError
from auren.devstack.services import EmbeddedService
from auren.devstack.valkey import EmbeddedValkey

REQUIRABLE = frozenset(
    ["postgres", "redis", "kafka", "browser", "nginx", "promtool", "files", "tools"]
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

ServiceT = TypeVar("ServiceT", bound=EmbeddedService)


class MakeTopic(Protocol):
    def __call__(
        self,
        *,
        prefix: str = "test",
        partitions: int = 4,
        config: dict[str, str] | None = None,
    ) -> str: ...


def required() -> frozenset[str]:
    """Read AUREN_REQUIRE; an unknown name in it is an error."""
    names = os.environ.get("AUREN_REQUIRE", "").split(",")
    wanted = frozenset(name.strip() for name in names if name.strip())
    unknown = wanted - REQUIRABLE
    if unknown:
        msg = f"AUREN_REQUIRE: {sorted(unknown)} is none of {sorted(REQUIRABLE)}."
        raise pytest.UsageError(msg)
    return wanted


def unavailable(requirement: str, *, reason: str) -> None:
    """Skip the test, or fail it when AUREN_REQUIRE names the requirement."""
    if requirement in required():
        pytest.fail(f"AUREN_REQUIRE names {requirement}: {reason}", pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Let this process and its children have so many files and connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = max(hard, wanted) if hard != resource.RLIM_INFINITY else hard
    try:
        # root may have more than the machine's limit.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), enough))
    except (ValueError, OSError):
        reason = f"This machine allows {hard} open files, {wanted} are needed."
        unavailable("files", reason=reason)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _started(service: ServiceT, *, requirement: str) -> ServiceT:
    try:
        return service.start()
    except UnavailableError as error:
        unavailable(requirement, reason=str(error))
        raise


@pytest.fixture(scope="session")
def services_dir() -> Iterator[Path]:
    """Where this run's servers keep their files."""
    # Not below pytest's own folder: that is closed to the account under which
    # PostgreSQL runs when the tests run as root.
    path = Path(tempfile.mkdtemp(prefix="auren-tests-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def _shared_valkey(services_dir: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(data_dir=services_dir / "valkey")
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="redis")


@pytest.fixture(scope="session")
def _shared_kafka(services_dir: Path) -> Iterator[EmbeddedKafka]:
    server = EmbeddedKafka(data_dir=services_dir / "kafka")
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="kafka")


@pytest.fixture(scope="session")
def _shared_postgres(services_dir: Path) -> Iterator[TemporaryPostgres]:
    server = TemporaryPostgres(data_dir=services_dir / "postgres")
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="postgres")


@pytest.fixture(scope="session")
def valkey(_shared_valkey: EmbeddedValkey) -> str:
    """URL of the run's Redis-compatible server (database 0; see ``redis_url``)."""
    return _shared_valkey.url


@pytest.fixture(scope="session")
def kafka(_shared_kafka: EmbeddedKafka) -> str:
    """Bootstrap servers of the run's broker; it creates no topic by itself."""
    return _shared_kafka.bootstrap_servers


@pytest.fixture(scope="session")
def postgres(_shared_postgres: TemporaryPostgres) -> str:
    """DATABASE_URL of the run's cluster, its maintenance database."""
    return _shared_postgres.url


@pytest.fixture(scope="session")
def _redis_numbers() -> Iterator[int]:
    # 0 is left to those who take ``valkey``.
    return itertools.count(1)


@pytest.fixture
def redis_url(_shared_valkey: EmbeddedValkey, _redis_numbers: Iterator[int]) -> str:
    """URL of an empty numbered database of this test alone (channels are shared)."""
    base, _slash, _zero = _shared_valkey.url.rpartition("/")
    return f"{base}/{next(_redis_numbers)}"


@pytest.fixture
def make_topic(kafka: str) -> MakeTopic:
    """Create topics of this test alone and answer their names."""

    def make(
        *,
        prefix: str = "test",
        partitions: int = 4,
        config: dict[str, str] | None = None,
    ) -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        create_topic(kafka, name=name, partitions=partitions, config=config)
        return name

    return make


def create_topic(
    bootstrap_servers: str,
    *,
    name: str,
    partitions: int = 4,
    config: dict[str, str] | None = None,
) -> None:
    """Create one topic with one replica."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        admin.create_topics(
            [
                NewTopic(
                    name=name,
                    num_partitions=partitions,
                    replication_factor=1,
                    topic_configs=config,
                )
            ]
        )
    finally:
        admin.close()


@pytest.fixture
def make_database(_shared_postgres: TemporaryPostgres) -> Iterator[Callable[[], str]]:
    """Create empty databases of this test alone and answer their DATABASE_URLs."""
    names: list[str] = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        _shared_postgres.execute(f'CREATE DATABASE "{name}"')
        names.append(name)
        return _shared_postgres.url_of(database=name)

    yield make
    for name in names:
        _shared_postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def own_valkey(services_dir: Path) -> Iterator[EmbeddedValkey]:
    """Start a server that this test may hurt; it keeps nothing over a restart."""
    server = EmbeddedValkey(data_dir=_own_dir(services_dir))
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="redis")


@pytest.fixture
def own_kafka(services_dir: Path) -> Iterator[EmbeddedKafka]:
    """Start a broker that this test may hurt (2.5 s; back in 5 s after a kill9)."""
    server = EmbeddedKafka(data_dir=_own_dir(services_dir))
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="kafka")


@pytest.fixture
def own_postgres(services_dir: Path) -> Iterator[TemporaryPostgres]:
    """Start a cluster that this test may hurt; what it acknowledged survives."""
    server = TemporaryPostgres(data_dir=_own_dir(services_dir))
    with contextlib.closing(_Stopping(server)):
        yield _started(server, requirement="postgres")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed Chromium."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    reason = f"No browser is installed (looked for {', '.join(BROWSERS)})."
    unavailable("browser", reason=reason)
    raise AssertionError(reason)


@pytest.fixture(scope="session")
def nginx() -> str:
    """Path of an installed nginx."""
    return _installed("nginx", at="/usr/sbin")


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of an installed promtool (Debian: in the package prometheus)."""
    return _installed("promtool")


def _installed(name: str, *, at: str = "/usr/bin") -> str:
    path = shutil.which(name) or shutil.which(name, path=at)
    if path is None:
        unavailable(name, reason=f"No {name} is installed.")
        raise AssertionError(name)
    return path


class _Stopping:
    """Ends a service by force and forgets its files."""

    def __init__(self, service: EmbeddedService) -> None:
        self._service = service

    def close(self) -> None:
        self._service.kill9()
        shutil.rmtree(self._service.data_dir, ignore_errors=True)


def _own_dir(services_dir: Path) -> Path:
    return services_dir / f"own-{uuid.uuid4().hex[:12]}"

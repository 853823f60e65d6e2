"""A PostgreSQL cluster of its own, from the server that the system has installed.

For tests and benchmarks; ``make run`` uses SQLite or the server in DATABASE_URL.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg2

from auren.devstack.process import ManagedProcess, ServiceError, UnavailableError
from auren.devstack.services import HOST, EmbeddedService

USER = "auren"
MAX_CONNECTIONS = 200


class TemporaryPostgres(EmbeddedService):
    """PostgreSQL on 127.0.0.1 with trust authentication.

    ``fsync`` off is quick and survives ``kill9``, not a power cut; benchmarks turn
    it on. The server refuses to run as root, so for root it runs as ``postgres`` or
    ``nobody``, which must be able to reach ``data_dir``.
    """

    name = "postgres"
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM waits for every client to leave.
    stop_signal = signal.SIGINT

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 0,
        fsync: bool = False,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, port=port, on_line=on_line, on_exit=on_exit)
        self._fsync = fsync

    @property
    def url(self) -> str:
        return self.url_of(database="postgres")

    def url_of(self, *, database: str) -> str:
        """DATABASE_URL of one database of this cluster."""
        return f"postgres://{USER}@{HOST}:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run one statement as superuser, outside of any transaction."""
        connection = psycopg2.connect(self.url, connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _user(self) -> str | None:
        return _unprivileged_user() if os.geteuid() == 0 else None

    def _prepare(self) -> None:
        cluster = self.data_dir / "cluster"
        if (cluster / "PG_VERSION").exists():
            return
        user = self._user()
        if user is not None:
            _check_reachable(directory=self.data_dir, user=user)
            shutil.chown(self.data_dir, user)
        made = subprocess.run(
            [
                binaries() / "initdb",
                *("--pgdata", cluster),
                *("--username", USER),
                *("--auth", "trust"),
                *("--encoding", "UTF8"),
                *("--locale", "C"),
                "--no-sync",
            ],
            user=user,
            extra_groups=[] if user else None,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            shutil.rmtree(cluster, ignore_errors=True)
            msg = f"initdb failed in {cluster}:\n{made.stdout}{made.stderr}"
            raise ServiceError(msg)

    def _argv(self) -> list[str | Path]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": MAX_CONNECTIONS,
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
            # In the data directory: shared memory files would outlive a kill -9.
            "dynamic_shared_memory_type": "mmap",
            "log_checkpoints": "off",
            "timezone": "UTC",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [binaries() / "postgres", "-D", self.data_dir / "cluster", *options]

    def _is_ready(self, process: ManagedProcess) -> bool:
        if not process.has_said("database system is ready to accept connections"):
            return False
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True


def binaries() -> Path:
    """Find the newest installed server; UnavailableError when there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: float(path.parts[-3]),
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    msg = "No PostgreSQL server is installed (looked for /usr/lib/postgresql/*/bin)."
    raise UnavailableError(msg)


def _unprivileged_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    msg = "PostgreSQL does not run as root, and neither postgres nor nobody exists."
    raise UnavailableError(msg)


def _check_reachable(*, directory: Path, user: str) -> None:
    for parent in directory.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            msg = f"{directory}: user {user} cannot enter {parent}; choose another."
            raise ServiceError(msg)

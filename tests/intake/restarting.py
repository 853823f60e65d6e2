"""Web processes that a test may stop, and senders that count what was not answered."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import orjson

from auren.devstack.process import ManagedProcess, process_tree
from auren.devstack.services import free_port
from tests import signer
from tests.bridge import SECRETS
from tests.databases import migrate

ROOT = Path(__file__).resolve().parents[2]
OURS = ("AUREN_", "KAFKA_", "RESILIENCE_", "DATABASE_", "REDIS_")
# uvicorn's own default is 5 s; without a proxy a test need not wait that long.
IDLE_S = 1
PATIENCE_S = 60


class Connects(Protocol):
    def connect(self) -> http.client.HTTPConnection:
        """Return an open connection of a client that keeps it."""


class Web:
    """The web command of docs/deploy.md on a SQLite database in a folder."""

    def __init__(
        self,
        home: Path,
        *,
        processes: int,
        extra: Mapping[str, str] | None = None,
        options: Sequence[str] = ("--timeout-keep-alive", str(IDLE_S)),
    ) -> None:
        self._options = options
        self.port = free_port()
        self.processes = processes
        self._lines: list[str] = []
        url = f"sqlite:///{home / 'bridge.sqlite3'}"
        migrate((extra or {}).get("DATABASE_URL", url))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        self.environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            "AUREN_MODE": "development",
            "SECRET_KEY": "restarted-" + "0123456789" * 6,
            "DATABASE_URL": url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "AUREN_TOKEN_KEYS": "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU=",
            "AUREN_WEBHOOK_SECRET_TERRA": SECRETS["terra"],
            **(extra or {}),
        }
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again, and return once it serves."""
        self._lines.clear()
        self._process = ManagedProcess(
            name="web",
            argv=[
                *(sys.executable, "-m", "uvicorn", "auren.asgi:application"),
                *("--http", "auren.protocol:CarefulProtocol"),
                *("--port", str(self.port), "--workers", str(self.processes)),
                *("--timeout-graceful-shutdown", "15"),
                *self._options,
                *("--timeout-worker-healthcheck", "60"),
            ],
            env=self.environment,
            cwd=ROOT,
            on_line=self._lines.append,
        )
        self._process.wait_for_line("Uvicorn running", timeout=PATIENCE_S)
        until(
            lambda: self.said("startup complete") == self.processes,
            "all of its processes have started",
        )

    @property
    def children(self) -> set[int]:
        return set(process_tree(self._process.pid)[1:])

    def tell(self, signum: signal.Signals) -> None:
        os.kill(self._process.pid, signum)

    def said(self, text: str) -> int:
        """How many lines of its log hold the text."""
        return sum(text in line for line in self._lines)

    def wait_for_end(self, *, seconds: float = PATIENCE_S) -> int | None:
        """Return how it ended; None when it has not within that time."""
        self._process.wait(timeout=seconds)
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill9()

    def connect(self) -> http.client.HTTPConnection:
        """Return an open connection of a client that keeps it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S)
        connection.connect()
        return connection

    def refuses(self) -> bool:
        """Whether nobody listens any more."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s until {what}"
        time.sleep(0.02)


def delivery() -> tuple[bytes, dict[str, str]]:
    """Return a body that was never sent before, and its headers."""
    user = {"user_id": str(uuid4()), "provider": "GARMIN"}
    body = orjson.dumps({"type": "athlete", "user": user, "athlete": {}})
    at = datetime.now(tz=UTC)
    return body, signer.headers("terra", secret=SECRETS["terra"], body=body, at=at)


class Senders:
    """Clients that send, each a hundred times a second at most, until they are stopped.

    A client that keeps its connection opens a new one only where it was told
    `Connection: close`, and sends nothing again: whatever else happens is counted.
    """

    def __init__(
        self, web: Connects, *, keeping: int, new: int, host: str = "localhost"
    ) -> None:
        self._web, self._host = web, host
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.outcomes: Counter[str] = Counter()
        self.told_to_close = 0
        kinds = [True] * keeping + [False] * new
        self._threads = [
            threading.Thread(target=self._send, kwargs={"keeps": kind}, daemon=True)
            for kind in kinds
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _send(self, *, keeps: bool) -> None:
        connection = None
        # Not without end: the new processes have to start beside them.
        while not self._stop.wait(0.01):
            try:
                connection = connection or self._web.connect()
                outcome, is_last = self._deliver(connection)
            except (OSError, http.client.HTTPException) as error:
                outcome, is_last = repr(error), True
            with self._lock:
                self.outcomes[outcome] += 1
                self.told_to_close += is_last
            if connection is not None and (is_last or not keeps):
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _deliver(self, connection: http.client.HTTPConnection) -> tuple[str, bool]:
        body, proof = delivery()
        headers = {"Host": self._host, **proof}
        connection.request("POST", "/webhooks/terra", body, headers)
        answer = connection.getresponse()
        answer.read()
        return str(answer.status), answer.getheader("connection") == "close"

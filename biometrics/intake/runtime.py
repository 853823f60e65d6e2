"""What one web process keeps for intake: writer, gate, token cache. One per event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from biometrics import metrics, nudges
from biometrics.errors import OverloadedError
from biometrics.intake.postgres import PostgresIntakeStore
from biometrics.intake.rows import IntakeStore
from biometrics.intake.sqlite import SqliteIntakeStore
from biometrics.intake.writer import GroupCommitWriter

_TOKEN_CACHE_S = 30.0
_TOKEN_CACHE_SIZE = 10_000


class Gate:
    """Counts requests in flight and bytes in memory, and says no before it is too much."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0
        self._lingering = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the places for requests; raises OverloadedError."""
        if self._requests >= self._max_requests:
            raise OverloadedError("As many requests as MAX_CONCURRENT_WEBHOOKS allows.")
        self._requests += 1
        metrics.INTAKE_IN_FLIGHT.inc()
        try:
            yield
        finally:
            self._requests -= 1
            metrics.INTAKE_IN_FLIGHT.dec()

    def reserve(self, size: int) -> None:
        """Take `size` bytes of the budget for bodies; raises OverloadedError."""
        if self._bytes + size > self._max_bytes:
            raise OverloadedError("As many bytes in memory as INTAKE_BUFFER_MB allows.")
        self._bytes += size

    def linger(self, size: int) -> bool:
        """Say whether `size` bytes of the budget may be held for long.

        At most half of the budget may: slow senders leave the rest to the others.
        """
        if self._lingering + size > self._max_bytes // 2:
            return False
        self._lingering += size
        return True

    def release(self, size: int, *, lingering: int = 0) -> None:
        """Give `size` bytes back, `lingering` of which were held for long."""
        self._bytes -= size
        self._lingering -= lingering


class TokenCache:
    """Remembers for half a minute whose a personal token is, unknown ones included."""

    def __init__(self, writer: GroupCommitWriter) -> None:
        self._writer = writer
        self._known: dict[str, tuple[float, str | None]] = {}

    async def account(self, sha256: str) -> str | None:
        """Return the account of a token; raises StoreUnavailableError."""
        now = asyncio.get_running_loop().time()
        cached = self._known.get(sha256)
        if cached is not None and cached[0] > now:
            return cached[1]
        account = await self._writer.account_of_token(sha256)
        if len(self._known) >= _TOKEN_CACHE_SIZE:
            self._known.clear()
        self._known[sha256] = (now + _TOKEN_CACHE_S, account)
        return account


class IntakeRuntime:
    """Everything that a request needs beside itself."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.writer = GroupCommitWriter(
            store=build_store(),
            commit_timeout_s=settings.INTAKE_COMMIT_TIMEOUT_S,
            on_stored=nudges.nudge_processing,
        )
        self.tokens = TokenCache(self.writer)
        self.gate = Gate(
            max_requests=settings.MAX_CONCURRENT_WEBHOOKS,
            max_bytes=settings.INTAKE_BUFFER_MB * 1024 * 1024,
        )
        self.closing = False

    async def close(self) -> None:
        """Commit what waits and stop taking more."""
        self.closing = True
        await self.writer.close()


def build_store() -> IntakeStore:
    """Return the store for the configured database."""
    database: Mapping[str, Any] = settings.DATABASES["default"]
    process = f"{socket.gethostname()[:40]}:{os.getpid()}"
    timeout_s = settings.INTAKE_COMMIT_TIMEOUT_S
    if "sqlite" in database["ENGINE"]:
        return SqliteIntakeStore(
            path=str(database["NAME"]), process=process, timeout_s=timeout_s
        )
    named = {
        "dbname": database["NAME"],
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
        "host": database.get("HOST"),
        "port": database.get("PORT"),
    }
    options = {
        key: value
        for key, value in database.get("OPTIONS", {}).items()
        if key.startswith("ssl")
    }
    return PostgresIntakeStore(
        parameters={k: v for k, v in named.items() if v} | options,
        process=process,
        timeout_s=timeout_s,
    )


_runtime: IntakeRuntime | None = None


def current() -> IntakeRuntime:
    """Return the running loop's runtime, built at first use."""
    global _runtime  # noqa: PLW0603 - one per process, made on its event loop
    if _runtime is None or _runtime.loop is not asyncio.get_running_loop():
        _runtime = IntakeRuntime()
    return _runtime


async def close() -> None:
    """Flush and forget the runtime, if there is one."""
    global _runtime  # noqa: PLW0603 - see current
    runtime = _runtime
    if runtime is None:
        return
    try:
        await runtime.close()
    finally:
        # Only now: who asks meanwhile must hear that this process stops, not start anew.
        _runtime = None


def is_closing() -> bool:
    """Say whether this process is shutting down."""
    return _runtime is not None and _runtime.closing

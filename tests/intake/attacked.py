"""A web process as in production, to be attacked: a process of its own, over sockets.

Whatever comes, it says no more than the documented 503 of the 5xx, shows nobody a
traceback, and goes on serving good senders.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson

from auren.devstack.process import ManagedProcess
from auren.devstack.services import free_port
from tests import signer
from tests.bridge import SECRETS
from tests.databases import migrate
from tests.newcomers import unused_but

ROOT = Path(__file__).resolve().parents[2]
# A connection that waits longer than this is not being answered.
PATIENCE_S = 30
SECRET_KEY = "attacked-" + "0123456789" * 6
OURS = ("AUREN_", "KAFKA_", "RESILIENCE_", "DATABASE_", "REDIS_")


# A browser that asks for the live socket.
LIVE = (
    b"GET /ws/live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://127.0.0.1\r\n"
    b"Cookie: sessionid="
)


class Web:
    """One web process on a database of its own, or on one that is away."""

    def __init__(self, home: Path, *, database: str = "", **changes: str) -> None:
        self.port = free_port()
        self.lines: list[str] = []
        url = database or f"sqlite:///{home / 'bridge.sqlite3'}"
        if not database:
            migrate(url)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            "AUREN_MODE": "development",
            "SECRET_KEY": SECRET_KEY,
            "DATABASE_URL": url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "AUREN_TOKEN_KEYS": "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU=",
            "AUREN_WEBHOOK_SECRET_OURA": SECRETS["oura"],
            "AUREN_WEBHOOK_SECRET_WHOOP": SECRETS["whoop"],
            "AUREN_WEBHOOK_SECRET_TERRA": SECRETS["terra"],
            "AUREN_UNUSED_VENDORS": unused_but(SECRETS),
            "INTAKE_READ_TIMEOUT_S": "2",
            **changes,
        }
        self._process = ManagedProcess(
            name="web",
            argv=[
                *(sys.executable, "-m", "uvicorn", "auren.asgi:application"),
                *("--http", "auren.protocol:CarefulProtocol"),
                *("--port", str(self.port), "--no-access-log"),
            ],
            env=environment,
            cwd=ROOT,
            on_line=self.lines.append,
        )
        self._process.wait_for_line("Uvicorn running", timeout=60)

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def stop(self) -> None:
        self._process.kill9()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    def say(self, *pieces: bytes, patience_s: float = PATIENCE_S) -> bytes:
        """Send pieces; return all that comes back until the other side ends."""
        with closing(self.connect()) as peer:
            try:
                for piece in pieces:
                    peer.sendall(piece)
            except OSError:
                pass  # It has refused us already, and may have said why.
            peer.settimeout(patience_s)
            return read_all(peer)

    def provoke(self, *pieces: bytes) -> bytes:
        """Send what may leave it waiting for more, and read what it says at once.

        What it says later is in its log, which is searched at the end.
        """
        return self.say(*pieces, patience_s=0.1)

    def deliver(self) -> int:
        """Send a genuine delivery and return its status."""
        body = orjson.dumps(
            {
                "type": "athlete",
                "user": {"user_id": str(uuid4()), "provider": "GARMIN"},
                "athlete": {},
            }
        )
        proof = signer.headers(
            "terra", secret=SECRETS["terra"], body=body, at=datetime.now(tz=UTC)
        )
        return statuses(self.say(request("POST", "/webhooks/terra", proof, body)))[0]


def request(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> bytes:
    """Return the bytes of a request that ends its connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def read_all(peer: socket.socket) -> bytes:
    found = b""
    try:
        while piece := peer.recv(65_536):
            found += piece
    except (ConnectionError, TimeoutError):
        pass
    return found


def statuses(answer: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def assert_harmless(answer: bytes) -> None:
    """Hold an answer, or none, to what every stranger is promised."""
    assert all(code < 500 or code == 503 for code in statuses(answer)), answer[:500]
    assert b"Traceback" not in answer
    assert b'File "' not in answer
    assert b"site-packages" not in answer


def assert_nothing_failed(web: Web) -> None:
    """Assert that no request ran into an error of ours, however it was answered."""
    failed = [
        line[-2000:]
        for line in web.lines
        if "Traceback" in line or '"exception"' in line
    ]
    assert not failed, failed

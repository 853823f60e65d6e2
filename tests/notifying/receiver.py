"""Somebody's webhook on a real socket, and the check that a receiver makes.

The check is written from the Standard Webhooks text with the standard library, and held
to that project's published example in `test_signing.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def signature_of(*, secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret[len("whsec_") :])
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


@dataclass
class Received:
    headers: Mapping[str, str]
    body: bytes

    def is_from(self, secret: str) -> bool:
        return self.headers["webhook-signature"] == signature_of(
            secret=secret,
            message_id=self.headers["webhook-id"],
            timestamp=self.headers["webhook-timestamp"],
            body=self.body,
        )


@dataclass
class Receiver:
    """Answers with `answers` in turn, then with 204; keeps what came."""

    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                headers = {k.lower(): v for k, v in self.headers.items()}
                outer.received.append(Received(headers, self.rfile.read(size)))
                status, extra = outer.answers.pop(0) if outer.answers else (204, {})
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

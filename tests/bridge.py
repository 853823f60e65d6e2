"""A running web process for tests: the real application on a real socket."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import uvicorn

from tests import signer

SECRETS = {
    "oura": "oura-client-secret",
    "whoop": "whoop-client-secret",
    "terra": "terra-signing-secret",
}
_START_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class RunningBridge:
    """Serves `auren.asgi` in a thread with its own event loop until stopped."""

    def __init__(self) -> None:
        from auren.asgi import application  # noqa: PLC0415 - needs Django set up

        config = uvicorn.Config(
            application,
            host="127.0.0.1",
            port=0,
            lifespan="on",
            log_config=None,
            http="auren.protocol:CarefulProtocol",
        )
        self._server = uvicorn.Server(config)
        self._started = threading.Event()
        startup = self._server.startup

        async def announce(*args: Any, **kwargs: Any) -> None:
            await startup(*args, **kwargs)
            self._started.set()

        self._server.startup = announce  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def port(self) -> int:
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(_START_S):
            message = "The web process did not start."
            raise RuntimeError(message)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_START_S)
        if self._thread.is_alive():
            message = "The web process did not stop."
            raise RuntimeError(message)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={k.lower(): v for k, v in response.getheaders()},
                body=response.read(),
            )
        finally:
            connection.close()

    def deliver(
        self,
        vendor: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        at: datetime | None = None,
        path: str | None = None,
    ) -> Answer:
        """POST a body with a genuine proof of its sender."""
        proof = signer.headers(
            vendor,
            secret=secret or SECRETS[vendor],
            body=body,
            at=at or datetime.now(tz=UTC),
        )
        return self.request(
            "POST",
            path or f"/webhooks/{vendor}",
            body=body,
            headers={"content-type": "application/json", **proof, **(headers or {})},
        )

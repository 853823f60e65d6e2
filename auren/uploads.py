"""Bodies for Django's pages: small, and sent without delay.

Django reads a body to its end, onto the disk, before anybody looks at the request. What
is sent to the pages of staff is forms; nobody sends more than forms hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from django.conf import settings

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]

_GONE = {"type": "http.disconnect"}


async def within_limits(
    application: Application, scope: Mapping[str, Any], receive: Receive, send: Send
) -> None:
    """Serve a request whose body is answered 413 or 503 when too large or too slow.

    The limits are DATA_UPLOAD_MAX_MEMORY_SIZE and INTAKE_READ_TIMEOUT_S. It is not 408,
    since apps of phones sign in here, and they give up for good on a 4xx.
    """
    upload = _Upload(receive)
    await application(scope, upload.receive, upload.answering(send))
    if upload.refusal is not None and not upload.is_answered:
        await _refuse(*upload.refusal, send)


class _Upload:
    """Passes a body on while it keeps the limits; then says that the sender is gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        self._until: float | None = None
        self._is_read = False
        self.refusal: tuple[int, str, str] | None = None
        self.is_answered = False

    async def receive(self) -> Mapping[str, Any]:
        if self._is_read:
            # Waiting to be told that the sender left; that may take as long as it wants.
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + settings.INTAKE_READ_TIMEOUT_S
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refusal = (503, "too_slow", "The body did not arrive in time.")
            return _GONE
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.refusal = (413, "too_large", "Nothing of that size is taken here.")
            return _GONE
        self._is_read = not message.get("more_body", False)
        return message

    def answering(self, send: Send) -> Send:
        async def answer(message: Mapping[str, Any]) -> None:
            self.is_answered = True
            await send(message)

        return answer


async def _refuse(status: int, code: str, detail: str, send: Send) -> None:
    body = orjson.dumps({"error": code, "detail": detail})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

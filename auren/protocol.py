"""How a connection may talk to the web process: briefly, and to the point.

uvicorn waits without end for the end of a request's head, and keeps all of it that comes.
A proxy in front forbids both; the web process must not need one to stay up. Named on the
command line: `uvicorn --http auren.protocol:CarefulProtocol`.

When a process stops, uvicorn closes connections that happen to be idle, at the very moment
at which their clients may send: such a request is lost, and no proxy sends a POST again.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

# As the usual proxies have it. Vendors' heads have less than 2 KiB.
HEAD_LIMIT = 32 * 1024
HEAD_TIMEOUT_S = 10.0
# Requests of one connection that wait for the answer to an earlier one.
MOST_WAITING = 32

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\n"
    b"content-length: 72\r\n"
    b"connection: close\r\n\r\n"
    b'{"error":"too_large","detail":"The head of a request may have 32 KiB."}\n'
)


class _RefusedError(Exception):
    """Ends the parsing of a request."""


class CarefulProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an end to the time and the size of a request's head.

    A head that is larger than HEAD_LIMIT is answered 431, one that takes longer than
    HEAD_TIMEOUT_S loses its connection, and so does who asks on and on without waiting
    for answers. Bodies are the application's business.

    In a process that stops each connection gets one more answer, which tells the client
    that it is the last (`Connection: close`); those that stay idle for the time of
    `--timeout-keep-alive` are closed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._unfinished = 0
        self._has_begun = self._is_whole = False
        self._is_too_large = self._is_too_hasty = False
        self._answered: RequestResponseCycle | None = None
        self._was_told_to_stop = False
        self._serving = _server_of_this_process()

    def shutdown(self) -> None:
        """Make the answer under way, or the next one, the last."""
        self._was_told_to_stop = True
        # There is no cycle before the first request.
        if not getattr(self.cycle, "response_complete", True):
            super().shutdown()
            return
        # Timed anew: a proxy that keeps idle connections for less closes them first.
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._head_ended()
        self._tell_answered()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too large."""
        if self._deadline is None and self._awaits_head():
            self._expect_head()
        if self._deadline is not None:
            self._unfinished += len(data)
        super().data_received(data)
        # Bytes of a body may have come with it, so only a head without an end counts.
        if self._deadline is not None and self._unfinished > HEAD_LIMIT:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Hand the request on; raises when its head is too large, or too many wait."""
        self._head_ended()
        self._has_begun, self._is_whole = True, False
        size = len(self.url) + sum(
            len(name) + len(value) for name, value in self.headers
        )
        if size > HEAD_LIMIT:
            self._is_too_large = True
            raise _RefusedError
        # uvicorn reads on after each answer, and keeps all that waits.
        if len(self.pipeline) >= MOST_WAITING:
            self._is_too_hasty = True
            raise _RefusedError
        super().on_headers_complete()
        if self._stops() and self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too much of it."""
        self._head_ended()
        if self._is_too_hasty:
            self._drop()
            return
        if self._is_too_large:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
            return
        super().send_400_response(msg)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _drop(self) -> None:
        self.pipeline.clear()
        self._tell_answered()
        self.transport.close()

    def _tell_answered(self) -> None:
        # uvicorn tells only the request that came last; an earlier one may be answered.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def on_message_complete(self) -> None:
        """Note that what comes now belongs to another request."""
        self._is_whole = True
        super().on_message_complete()

    def _stops(self) -> bool:
        # Nobody tells a connection that was accepted in the moment of stopping.
        return self._was_told_to_stop or getattr(self._serving, "should_exit", False)

    def _awaits_head(self) -> bool:
        # While an answer is under way nobody has to hurry.
        return not self._has_begun or (self._is_whole and self.cycle.response_complete)

    def _expect_head(self) -> None:
        self._unfinished = 0
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _head_ended(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.close()

    def _refuse_head(self) -> None:
        self._head_ended()
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()


def _server_of_this_process() -> object:
    """Return the uvicorn server that SIGTERM stops; something else under a test."""
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)

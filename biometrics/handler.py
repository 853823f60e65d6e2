"""The slim ASGI handler of the webhook paths.

Django's own handler writes bodies to a temporary file and takes thread hops for signals
and logging on every request. Nothing on these paths uses Django's database connections,
so none of it is needed: the body is read into memory under the vendor's cap, the view
runs on the loop, the answer leaves in two messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, set_urlconf

from biometrics import ingest, metrics
from biometrics.errors import OverloadedError, UnknownVendorError
from biometrics.intake import runtime as intake
from biometrics.slim_request import SlimRequest
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import MIB

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PREFIXES = ("/webhooks/", "/api/v1/sdk/")

# A phone on a bad mobile network. Who sends faster than that is read to the end ...
SLOWEST_SENDER = 4 * 1024  # bytes a second
# ... unless that takes longer than the apps themselves wait for an answer.
LONGEST_READ_S = 120.0
_UNKNOWN = "unknown"


class _RefusedBodyError(Exception):
    """The body is not read to its end; carries the answer."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.response = HttpResponse(
            orjson.dumps({"error": code, "detail": detail}),
            status=status,
            content_type="application/json",
            headers={"Connection": "close"},
        )
        if status == 503:
            self.response["Retry-After"] = "1"


class _DisconnectedError(Exception):
    """The sender went away before the body was complete."""


class WebhookHandler(ASGIHandler):
    """Serves the paths of `PREFIXES`; everything else belongs to the stock handler."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002
        """Use no middleware: these paths have no session, no cookie, no template."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(
            self._get_response_async  # type: ignore[attr-defined]
        )

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return the view of a path; there are few paths, and each delivery has one."""
        match = _resolved(request.path_info)
        request.resolver_match = match
        return match

    async def __call__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request."""
        gate = intake.current().gate
        reader = _BodyReader(scope=scope, receive=receive, gate=gate)
        try:
            body = await reader.read()
            response = await self._respond(scope, body)
        except _RefusedBodyError as refusal:
            # No view saw it, which would have counted its answer.
            metrics.DELIVERIES.labels(_vendor(scope["path"]), refusal.code).inc()
            response = refusal.response
        except _DisconnectedError:
            return
        finally:
            gate.release(reader.reserved, lingering=reader.lingering)
        await _send(response, send)

    async def _respond(self, scope: Mapping[str, Any], body: bytes) -> HttpResponseBase:
        set_urlconf(settings.ROOT_URLCONF)
        request = SlimRequest(scope, body)
        response: HttpResponseBase = await self._middleware_chain(request)  # type: ignore[misc]
        return response


class _BodyReader:
    """Reads one body within the vendor's cap, the deadline and the byte budget.

    The deadline is INTAKE_READ_TIMEOUT_S and moves on with the bytes that come. Whoever
    misses it hears 503: apps of phones send that again, and drop what gets a 4xx for good.
    """

    def __init__(
        self, *, scope: Mapping[str, Any], receive: Receive, gate: intake.Gate
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._gate = gate
        self.reserved = 0
        self.lingering = 0

    async def read(self) -> bytes:
        """Return the whole body; raises _RefusedBodyError or _DisconnectedError."""
        cap = _cap(self._scope["path"])
        announced = self._announced()
        if announced is not None and announced > cap:
            raise _too_large(cap)
        try:
            # Not wait_for: a task of its own for each request is dear.
            async with asyncio.timeout(settings.INTAKE_READ_TIMEOUT_S) as limit:
                return await self._collect(cap, limit)
        except TimeoutError:
            raise _RefusedBodyError(
                503, "too_slow", "The body did not arrive in time; send it again."
            ) from None

    async def _collect(self, cap: int, limit: asyncio.Timeout) -> bytes:
        chunks: list[bytes] = []
        usual = limit.when() or 0.0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            chunk = message.get("body", b"")
            if self.reserved + len(chunk) > cap:
                raise _too_large(cap)
            self._reserve(len(chunk))
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._extend(limit, usual)

    def _extend(self, limit: asyncio.Timeout, usual: float) -> None:
        """Give the rest as much more time as what has come was worth."""
        newly = self.reserved - self.lingering
        if self._gate.linger(newly):
            self.lingering += newly
            longest = usual - settings.INTAKE_READ_TIMEOUT_S + LONGEST_READ_S
            earned = usual + self.reserved / SLOWEST_SENDER
            limit.reschedule(max(usual, min(earned, longest)))
        elif asyncio.get_running_loop().time() > usual:
            raise _RefusedBodyError(503, "busy", "Too many slow bodies at once.")

    def _reserve(self, size: int) -> None:
        try:
            self._gate.reserve(size)
        except OverloadedError as error:
            raise _RefusedBodyError(503, "busy", str(error)) from error
        self.reserved += size

    def _announced(self) -> int | None:
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return None


@lru_cache(maxsize=256)
def _resolved(path: str) -> ResolverMatch:
    return resolve(path, settings.ROOT_URLCONF)


def _cap(path: str) -> int:
    """Return the body cap of the vendor that a path belongs to."""
    vendor = _vendor(path)
    return MIB if vendor == _UNKNOWN else ingest.body_cap(get_adapter(vendor))


def _vendor(path: str) -> str:
    """Return the slug of the vendor that a path belongs to, `unknown` for any other."""
    try:
        return get_adapter(_resolved(path).kwargs["vendor"]).slug
    except (Resolver404, KeyError, UnknownVendorError):
        return _UNKNOWN


def _too_large(cap: int) -> _RefusedBodyError:
    return _RefusedBodyError(
        413, "too_large", f"Bodies for this address may have {cap} bytes."
    )


@cache
def _always() -> tuple[tuple[bytes, bytes], ...]:
    """Return what Django's middleware, which these paths do without, would add."""
    found = [(b"x-content-type-options", b"nosniff")]
    if settings.SECURE_HSTS_SECONDS:
        found.append(
            (
                b"strict-transport-security",
                b"max-age=%d; includeSubDomains; preload"
                % settings.SECURE_HSTS_SECONDS,
            )
        )
    return tuple(found)


async def _send(response: HttpResponseBase, send: Send) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    headers += _always()
    content = getattr(response, "content", b"")
    headers.append((b"content-length", str(len(content)).encode()))
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": headers,
        }
    )
    await send({"type": "http.response.body", "body": content})

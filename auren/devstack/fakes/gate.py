"""What every request to a fake vendor passes: counting, faults, limits, the token."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from auren.devstack.fakes.faults import Fault
from auren.devstack.fakes.grants import Grant
from auren.devstack.fakes.limits import Verdict
from auren.devstack.fakes.world import WORLD, Vendor, World

LimitHeaders = Callable[[Vendor, Verdict, datetime], Mapping[str, str]]


class RefusedError(Exception):
    """A request ends here; `response` is the answer to it."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def world_of(request: web.Request) -> World:
    """Return the world that this server shows."""
    return request.config_dict[WORLD]


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error as JSON."""
    payload = {
        "status": status,
        "title": _TITLES.get(status, "Error"),
        "detail": detail,
    }
    return web.json_response(payload, status=status, headers=headers)


def refused(status: int, detail: str) -> RefusedError:
    """Return what to raise in order to answer with an error."""
    return RefusedError(problem(status, detail))


def grant_of(request: web.Request, vendor: Vendor) -> Grant:
    """Return the live grant whose access token the request bears; answers 401."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    now = world_of(request).clock()
    grant = vendor.grants.by_access(token.strip(), now=now)
    if scheme.lower() != "bearer" or grant is None:
        raise refused(401, "The access token is missing, expired or revoked.")
    return grant


def guard(
    slug: str, *, headers: LimitHeaders, shows_always: bool, free: tuple[str, ...]
) -> Middleware:
    """Return the middleware of one vendor.

    `headers` writes a limit as this vendor does; `shows_always` says that every answer
    carries it. Paths that contain one of `free` are not limited.
    """

    @web.middleware
    async def passing(request: web.Request, handler: Handler) -> web.StreamResponse:
        world = world_of(request)
        vendor = world.vendors[slug]
        fault = world.faults.next_api(vendor=slug, path=request.path)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        limited = not any(part in request.path for part in free)
        verdict = _verdict(vendor, request, fault=fault, limited=limited)
        said = headers(vendor, verdict, world.clock()) if verdict is not None else {}
        try:
            _refuse(fault, verdict, said=said)
            answer = await handler(request)
            if shows_always:
                answer.headers.update(said)
        except RefusedError as refusal:
            answer = refusal.response
        vendor.requests[f"{request.method} {_route(request)} {answer.status}"] += 1
        if fault is not None and fault.kind == "truncated":
            return await _cut_short(request, answer)
        return answer

    return passing


def _route(request: web.Request) -> str:
    """Return the path with its ids left out, so that counters stay few."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def _verdict(
    vendor: Vendor, request: web.Request, *, fault: Fault | None, limited: bool
) -> Verdict | None:
    """Count the request in each window; return the one that says no, or the tightest."""
    now = world_of(request).clock()
    if fault is not None and fault.kind == "429":
        return _exhausted(fault, now=now)
    if not limited or not vendor.windows:
        return None
    token = request.headers.get("Authorization", "")
    verdicts = [
        window.take(token if window.tier == "access_token" else "", now=now)
        for window in vendor.windows
    ]
    return min(verdicts, key=lambda verdict: (verdict.allowed, verdict.remaining))


def _exhausted(fault: Fault, *, now: datetime) -> Verdict:
    return Verdict(
        allowed=False,
        limit=1,
        window_s=max(1, math.ceil(fault.seconds)),
        remaining=0,
        resets_at=now.timestamp() + fault.seconds,
        tier="application",
    )


def _refuse(
    fault: Fault | None, verdict: Verdict | None, *, said: Mapping[str, str]
) -> None:
    """Raise the answer that the request gets instead of what it asked for."""
    if fault is not None and fault.kind == "500":
        raise refused(500, "Something went wrong.")
    if fault is not None and fault.kind == "401":
        raise refused(401, "The access token is invalid.")
    if verdict is not None and not verdict.allowed:
        raise RefusedError(problem(429, "Too many requests.", headers=said))


async def _cut_short(
    request: web.Request, answer: web.StreamResponse
) -> web.StreamResponse:
    """Send half of an answer that promised to be whole, then hang up."""
    whole = answer.body if isinstance(answer, web.Response) else b""
    body = whole if isinstance(whole, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


async def read_json(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; answers 400 where there is none."""
    try:
        parsed = json.loads(await request.read())
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise refused(400, "The body must be a JSON object.")
    return parsed


_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
}

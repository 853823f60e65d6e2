"""Oura's webhook subscriptions: proven by a handshake, renewed before they end.

One for each (event_type, data_type) is what the documents speak of; that a second one is
refused is not written anywhere, so it is not refused here. Sources differ on whether a
renewal shakes hands again, and say nothing of renewing what has ended: here the first is
done and the second is refused, so that a caller who gets by here does so anywhere.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from auren.devstack.fakes.gate import problem, read_json, world_of

# The documents give only expiration_time; 90 days have been seen.
LIFE = timedelta(days=90)
# The stricter of the two published limits for answering the challenge.
_PATIENCE = aiohttp.ClientTimeout(total=2)
_EVENTS = frozenset({"create", "update", "delete"})
_REQUIRED = ("callback_url", "verification_token", "event_type", "data_type")
_BASE = "/v2/webhook/subscription"


@dataclass(slots=True)
class Subscription:
    """A wish to be told of one kind of event on one kind of data."""

    callback_url: str
    event_type: str
    data_type: str
    expires_at: datetime
    verification_token: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def shown(self) -> dict[str, str]:
        return {
            "id": self.id,
            "callback_url": self.callback_url,
            "event_type": self.event_type,
            "data_type": self.data_type,
            "expiration_time": self.expires_at.isoformat(timespec="milliseconds"),
        }


Book = dict[str, Subscription]
SUBSCRIPTIONS = web.AppKey("subscriptions", Book)


def add_routes(app: web.Application) -> None:
    """Mount the subscription API, with and without its trailing slash."""
    app[SUBSCRIPTIONS] = {}
    for path in (_BASE, f"{_BASE}/"):
        app.router.add_get(path, _list)
        app.router.add_post(path, _create)
    app.router.add_put(f"{_BASE}/renew/{{id}}", _renew)
    app.router.add_get(f"{_BASE}/{{id}}", _show)
    app.router.add_put(f"{_BASE}/{{id}}", _update)
    app.router.add_delete(f"{_BASE}/{{id}}", _delete)


async def _list(request: web.Request) -> web.StreamResponse:
    if not _is_application(request):
        return _stranger()
    return web.json_response([s.shown() for s in request.app[SUBSCRIPTIONS].values()])


async def _create(request: web.Request) -> web.StreamResponse:
    if not _is_application(request):
        return _stranger()
    wanted = await read_json(request)
    missing = [name for name in _REQUIRED if not wanted.get(name)]
    if missing or wanted["event_type"] not in _EVENTS:
        return problem(422, f"Missing or wrong: {', '.join(missing) or 'event_type'}.")
    if not await _shakes_hands(wanted):
        return problem(400, "The callback did not answer the challenge.")
    made = Subscription(
        callback_url=wanted["callback_url"],
        event_type=wanted["event_type"],
        data_type=wanted["data_type"],
        expires_at=world_of(request).clock() + LIFE,
        verification_token=wanted["verification_token"],
    )
    request.app[SUBSCRIPTIONS][made.id] = made
    return web.json_response(made.shown(), status=201)


async def _show(request: web.Request) -> web.StreamResponse:
    found = _find(request)
    return web.json_response(found.shown()) if found else _stranger()


async def _update(request: web.Request) -> web.StreamResponse:
    found = _find(request)
    if found is None:
        return _stranger()
    wanted = await read_json(request)
    if not wanted.get("verification_token"):
        return problem(422, "Missing: verification_token.")
    if not await _shakes_hands({**found.shown(), **wanted}):
        return problem(400, "The callback did not answer the challenge.")
    found.callback_url = wanted.get("callback_url", found.callback_url)
    found.event_type = wanted.get("event_type", found.event_type)
    found.data_type = wanted.get("data_type", found.data_type)
    found.verification_token = wanted["verification_token"]
    return web.json_response(found.shown())


async def _renew(request: web.Request) -> web.StreamResponse:
    found = _find(request)
    if found is None or found.expires_at <= world_of(request).clock():
        return _stranger()
    known = {**found.shown(), "verification_token": found.verification_token}
    if not await _shakes_hands(known):
        return problem(400, "The callback did not answer the challenge.")
    found.expires_at = world_of(request).clock() + LIFE
    return web.json_response(found.shown())


async def _delete(request: web.Request) -> web.StreamResponse:
    found = _find(request)
    if found is None:
        return _stranger()
    del request.app[SUBSCRIPTIONS][found.id]
    return web.Response(status=204)


def _find(request: web.Request) -> Subscription | None:
    if not _is_application(request):
        return None
    return request.app[SUBSCRIPTIONS].get(request.match_info["id"])


def _is_application(request: web.Request) -> bool:
    client = world_of(request).vendors["oura"].client
    name = request.headers.get("x-client-id", "")
    secret = request.headers.get("x-client-secret", "")
    return secrets.compare_digest(
        f"{name}\n{secret}".encode(),
        f"{client.client_id}\n{client.client_secret}".encode(),
    )


def _stranger() -> web.Response:
    """Answer as Oura does, also for ids that do not exist."""
    return problem(403, "Unknown client or subscription.")


async def _shakes_hands(wanted: Mapping[str, Any]) -> bool:
    """Ask the callback to repeat a challenge, while our own caller waits."""
    challenge = secrets.token_hex(16)
    params = {
        "verification_token": str(wanted["verification_token"]),
        "challenge": challenge,
    }
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.get(str(wanted["callback_url"]), params=params) as answer,
        ):
            said = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    repeated = said.get("challenge") if isinstance(said, dict) else None
    return answer.status == 200 and repeated == challenge

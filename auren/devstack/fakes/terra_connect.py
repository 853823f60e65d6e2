"""How people connect to Terra and leave it: widget sessions, direct links, goodbyes."""

from __future__ import annotations

import html
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from auren.devstack.fakes.gate import read_json, world_of
from auren.devstack.fakes.world import Account
from auren.devstack.simulator.terra import payloads
from auren.devstack.simulator.wire import Delivery, compact

_SESSION_LIFE = timedelta(seconds=900)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A page on which somebody may connect, for a while."""

    reference: str
    on_success: str
    on_failure: str
    expires_at: datetime


Sessions = dict[str, Session]
SESSIONS = web.AppKey("sessions", Sessions)


def add_routes(app: web.Application, *, base: str) -> None:
    """Mount the routes about connecting."""
    if SESSIONS not in app:
        app[SESSIONS] = {}
        app.router.add_get("/widget/session/{id}", _widget, name="terra-widget")
    app.router.add_post(f"{base}/auth/generateWidgetSession", _generate)
    app.router.add_post(f"{base}/auth/authenticateUser", _authenticate)
    app.router.add_delete(f"{base}/auth/deauthenticateUser", _deauthenticate)
    app.router.add_post(f"{base}/auth/generateAuthToken", _auth_token)


def is_developer(request: web.Request) -> bool:
    """Say whether the request bears the dev id and API key."""
    client = world_of(request).vendors["terra"].client
    given = f"{request.headers.get('dev-id')}\n{request.headers.get('x-api-key')}"
    known = f"{client.client_id}\n{client.client_secret}"
    return secrets.compare_digest(given.encode(), known.encode())


def user_of(request: web.Request, account: str) -> dict[str, Any] | None:
    """Return the user block of an account, None where there is none."""
    found = world_of(request).vendors["terra"].accounts.get(account)
    if found is None:
        return None
    usual = _user(account, reference=None)
    return {**usual, **found.profile.get("user", {})}


def error(status: int, message: str) -> web.Response:
    """Return an error as Terra writes it."""
    return web.json_response({"status": "error", "message": message}, status=status)


async def _generate(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    key, url = await _new_session(request)
    answer = {
        "status": "success",
        "session_id": key,
        "url": url,
        "expires_in": round(_SESSION_LIFE.total_seconds()),
    }
    return web.json_response(answer, status=201)


async def _authenticate(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    _, url = await _new_session(request)
    return web.json_response({"status": "success", "auth_url": url})


async def _new_session(request: web.Request) -> tuple[str, str]:
    """Open a page for the person whom the request names; return its key and address."""
    wanted = await read_json(request)
    key = str(uuid.uuid4())
    request.app[SESSIONS][key] = Session(
        reference=str(wanted.get("reference_id") or ""),
        on_success=str(wanted.get("auth_success_redirect_url") or ""),
        on_failure=str(wanted.get("auth_failure_redirect_url") or ""),
        expires_at=world_of(request).clock() + _SESSION_LIFE,
    )
    path = request.app.router["terra-widget"].url_for(id=key)
    return key, str(request.url.origin().join(path))


async def _widget(request: web.Request) -> web.StreamResponse:
    """Show the page, or do what was chosen on it: `connect` or `cancel`."""
    key = request.match_info["id"]
    session = request.app[SESSIONS].get(key)
    if session is None or session.expires_at <= world_of(request).clock():
        return web.Response(status=404, text="This session has ended.")
    if "cancel" in request.query:
        del request.app[SESSIONS][key]
        await _tell(
            request,
            {
                "type": "auth_cancelled",
                "status": "error",
                "flow_id": key,
                "reason": "access_denied",
                "reference_id": session.reference,
            },
        )
        return _onward(session.on_failure, {"reason": "access_denied"})
    if "connect" in request.query:
        del request.app[SESSIONS][key]
        user = await _connect(request, reference=session.reference, session=key)
        return _onward(session.on_success, {"user_id": user, "resource": "GARMIN"})
    return web.Response(text=_PAGE, content_type="text/html")


async def _deauthenticate(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    account = request.query.get("user_id", "")
    user = user_of(request, account)
    if user is None:
        return error(404, "No such user.")
    del world_of(request).vendors["terra"].accounts[account]
    await _tell(
        request,
        {
            "type": "deauth",
            "status": "success",
            "message": "User has deauthenticated",
            "user": {**user, "active": False},
        },
    )
    return web.json_response({"status": "success"})


async def _auth_token(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    answer = {"status": "success", "token": secrets.token_hex(32), "expires_in": 180}
    return web.json_response(answer)


async def _connect(request: web.Request, *, reference: str, session: str) -> str:
    """Create the user and tell the bridge. Terra makes a new id for each connection."""
    account = str(uuid.uuid4())
    user = _user(account, reference=reference or None)
    world_of(request).vendors["terra"].accounts[account] = Account(
        account=account, label=reference or account, profile={"user": user}
    )
    await _tell(
        request,
        {
            "type": "auth",
            "status": "success",
            "message": "User has successfully authenticated",
            "widget_session_id": session,
            "reference_id": reference,
            "user": user,
        },
    )
    return account


async def _tell(request: web.Request, payload: Mapping[str, Any]) -> None:
    """Send a connection event, where a bridge is known."""
    world = world_of(request)
    if world.announce is None:
        return
    now = world.clock()
    user = payload.get("user") or {}
    await world.announce(
        Delivery(
            sender="terra",
            account=str(user.get("user_id", "")),
            kind=str(payload["type"]),
            path="/webhooks/terra",
            body=compact(payload),
            headers={
                "Content-Type": "application/json",
                "X-Terra-Trace-Id": secrets.token_hex(16),
                "X-Terra-Ordering-Timestamp": str(round(now.timestamp() * 1000)),
            },
        )
    )


def _user(account: str, *, reference: str | None) -> dict[str, Any]:
    return {
        "user_id": account,
        "provider": payloads.PROVIDER,
        "last_webhook_update": None,
        "scopes": "ACTIVITY_EXPORT,HEALTH_EXPORT",
        "reference_id": reference,
        "active": True,
    }


def _onward(url: str, extra: Mapping[str, str]) -> web.Response:
    """Send the browser where the application wanted it, or say that all is done."""
    if not url:
        return web.Response(text="Done. This window can be closed.")
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), *extra.items()])
    target = urlunsplit(parts._replace(query=query))
    return web.Response(status=302, headers={"Location": target})


_PAGE = (
    "<!doctype html><title>Fake Terra</title><h1>"
    + html.escape("Connect a watch?")
    + '</h1><p><a href="?connect=1">Connect</a> <a href="?cancel=1">Cancel</a></p>'
)

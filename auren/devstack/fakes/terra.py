"""The fake Terra API: an API key for everybody, data again on request, the widget.

Reference: https://docs.tryterra.co/reference
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from auren.devstack.fakes import terra_connect
from auren.devstack.fakes.documents import moment_of
from auren.devstack.fakes.gate import guard, problem, world_of
from auren.devstack.fakes.limits import Verdict
from auren.devstack.fakes.terra_connect import error, is_developer, user_of
from auren.devstack.fakes.world import Vendor
from auren.devstack.simulator.terra import payloads
from auren.devstack.simulator.wire import Delivery, compact

DATA_TYPES = (
    "activity",
    "body",
    "daily",
    "sleep",
    "nutrition",
    "menstruation",
)
_MAX_DAYS = 1825


def build() -> web.Application:
    """Return the application that is mounted under /terra, with and without /v2."""
    app = web.Application(
        middlewares=[
            guard("terra", headers=_limit_headers, shows_always=False, free=())
        ]
    )
    for base in ("", "/v2"):
        for kind in DATA_TYPES:
            app.router.add_get(f"{base}/{kind}", _data(kind))
        app.router.add_get(f"{base}/athlete", _athlete)
        app.router.add_get(f"{base}/userInfo", _user_info)
        app.router.add_get(f"{base}/subscriptions", _subscriptions)
        app.router.add_get(f"{base}/integrations", _integrations)
        terra_connect.add_routes(app, base=base)
    return app


def _limit_headers(_: Vendor, verdict: Verdict, now: datetime) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(max(1, round(verdict.resets_at - now.timestamp()))),
    }


def _data(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if not is_developer(request):
            return error(401, "dev-id or x-api-key is wrong.")
        account = request.query.get("user_id", "")
        user = user_of(request, account)
        if user is None:
            return error(404, "No such user.")
        try:
            since, until = _range(request.query, now=world_of(request).clock())
        except (ValueError, OverflowError):
            return error(400, "start_date or end_date is not valid.")
        if until - since > timedelta(days=_MAX_DAYS):
            return error(400, f"At most {_MAX_DAYS} days for one request.")
        found = (
            world_of(request)
            .vendors["terra"]
            .documents.select(
                account=account, collection=kind, since=since, until=until
            )
        )
        payload = {
            "type": kind,
            "version": payloads.VERSION,
            "user": user,
            "data": [document.body for document in found],
        }
        # Sent to the webhook unless the caller says otherwise.
        if request.query.get("to_webhook", "true").lower() == "false":
            return web.json_response({"status": "success", **payload})
        return await _to_webhook(request, account, payload)

    return handler


async def _athlete(request: web.Request) -> web.StreamResponse:
    """Answer with the person: one object, no `data`."""
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    account = request.query.get("user_id", "")
    user = user_of(request, account)
    if user is None:
        return error(404, "No such user.")
    profile = world_of(request).vendors["terra"].accounts[account].profile
    payload = {
        "type": "athlete",
        "version": payloads.VERSION,
        "user": user,
        "athlete": profile.get("athlete", {}),
    }
    if request.query.get("to_webhook", "true").lower() == "false":
        return web.json_response({"status": "success", **payload})
    return await _to_webhook(request, account, payload)


async def _to_webhook(
    request: web.Request, account: str, payload: Mapping[str, Any]
) -> web.StreamResponse:
    world = world_of(request)
    if world.announce is None:
        return problem(500, "This fake knows no bridge: start it with --bridge.")
    reference = secrets.token_hex(16)
    now = world.clock()
    await world.announce(
        Delivery(
            sender="terra",
            account=account,
            kind=str(payload["type"]),
            path="/webhooks/terra",
            body=compact(payload),
            headers={
                "Content-Type": "application/json",
                "X-Terra-Trace-Id": secrets.token_hex(16),
                "X-Terra-Ordering-Timestamp": str(round(now.timestamp() * 1000)),
                "terra-reference": reference,
            },
        )
    )
    answer = {
        "status": "success",
        "message": "Data will be sent to the webhook.",
        "reference": reference,
    }
    return web.json_response(answer, headers={"terra-reference": reference})


def _range(query: Mapping[str, str], *, now: datetime) -> tuple[datetime, datetime]:
    """Return the wanted days, both included; one day where no end is given."""
    since = _day(query.get("start_date", ""))
    end = query.get("end_date")
    until = _day(end) if end else min(since, now)
    return since, until + timedelta(days=1)


def _day(text: str) -> datetime:
    """Read a date or unix seconds. Raises ValueError."""
    if text.isdigit() and len(text) > 8:
        day: date = datetime.fromtimestamp(int(text), tz=UTC).date()
        return moment_of(day.isoformat())
    return moment_of(text[:10])


async def _user_info(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    user = user_of(request, request.query.get("user_id", ""))
    if user is None:
        return error(404, "No such user.")
    answer = {"status": "success", "is_authenticated": user["active"], "user": user}
    return web.json_response(answer)


async def _subscriptions(request: web.Request) -> web.StreamResponse:
    if not is_developer(request):
        return error(401, "dev-id or x-api-key is wrong.")
    try:
        number = int(request.query.get("page", 0))
        size = int(request.query.get("per_page", 500))
    except ValueError:
        return error(400, "page and per_page must be whole numbers.")
    accounts = list(world_of(request).vendors["terra"].accounts)
    part = accounts[number * size : (number + 1) * size]
    users = [user_of(request, account) for account in part]
    return web.json_response({"status": "success", "users": users})


async def _integrations(request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "success", "providers": [payloads.PROVIDER]})

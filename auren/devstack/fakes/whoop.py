"""The fake WHOOP API (v2): sleeps, cycles, recoveries, workouts, profile, OAuth.

Reference: https://developer.whoop.com/api
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from auren.devstack.fakes import oauth
from auren.devstack.fakes.documents import BadCursorError, moment_of, page
from auren.devstack.fakes.gate import grant_of, guard, problem, refused, world_of
from auren.devstack.fakes.grants import Grant
from auren.devstack.fakes.limits import Verdict
from auren.devstack.fakes.world import Vendor
from auren.devstack.simulator.wire import Document

_RULES = oauth.Rules(vendor="whoop", min_state=8, offline_scope="offline")
_SCOPES = {
    "sleep": "read:sleep",
    "workout": "read:workout",
    "cycle": "read:cycles",
    "recovery": "read:recovery",
    "profile": "read:profile",
    "body_measurement": "read:body_measurement",
}
_MAX_PAGE = 25
_PAGE = 10


def build() -> web.Application:
    """Return the application that is mounted under /whoop.

    The API answers under /developer, where the vendor has it, and without it.
    """
    app = web.Application(
        middlewares=[
            guard("whoop", headers=_limit_headers, shows_always=True, free=("/oauth/",))
        ]
    )
    add = app.router
    add.add_get("/oauth/oauth2/auth", oauth.authorize(_RULES))
    add.add_post("/oauth/oauth2/token", oauth.token(_RULES))
    for base in ("", "/developer"):
        add.add_get(f"{base}/v2/activity/sleep", _list("sleep"))
        add.add_get(f"{base}/v2/activity/sleep/{{key}}", _one("sleep"))
        add.add_get(f"{base}/v2/activity/workout", _list("workout"))
        add.add_get(f"{base}/v2/activity/workout/{{key}}", _one("workout"))
        add.add_get(f"{base}/v2/cycle", _list("cycle"))
        add.add_get(f"{base}/v2/cycle/{{key}}", _one("cycle"))
        add.add_get(f"{base}/v2/cycle/{{key}}/sleep", _sleep_of_cycle)
        add.add_get(f"{base}/v2/cycle/{{key}}/recovery", _one("recovery"))
        add.add_get(f"{base}/v2/recovery", _list("recovery"))
        add.add_get(f"{base}/v2/user/profile/basic", _person("profile"))
        add.add_get(f"{base}/v2/user/measurement/body", _person("body_measurement"))
        add.add_delete(f"{base}/v2/user/access", _revoke)
    return app


def _limit_headers(vendor: Vendor, verdict: Verdict, now: datetime) -> dict[str, str]:
    """Return the limits as WHOOP writes them; the reset is in seconds from now."""
    windows = ", ".join(f"{w.limit};window={w.window_s}" for w in vendor.windows)
    wait = max(1, math.ceil(verdict.resets_at - now.timestamp()))
    return {
        "X-RateLimit-Limit": f"{verdict.limit}, {windows}",
        "X-RateLimit-Remaining": str(verdict.remaining),
        "X-RateLimit-Reset": str(wait),
    }


def _one(collection: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        vendor, grant = _entry(request, collection)
        document = vendor.documents.get(
            account=grant.account, collection=collection, key=request.match_info["key"]
        )
        if document is None:
            return problem(404, f"No such {collection}.")
        return web.json_response(document.body)

    return handler


def _list(collection: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        vendor, grant = _entry(request, collection)
        try:
            documents = _selected(request, vendor, grant, collection)
            part = page(
                documents,
                size=_limit(request.query),
                token=request.query.get("nextToken"),
            )
        except (BadCursorError, ValueError):
            return problem(400, "limit, start, end or nextToken is not valid.")
        answer: dict[str, Any] = {"records": part.bodies}
        if part.next_token is not None:
            answer["next_token"] = part.next_token
        return web.json_response(answer)

    return handler


def _selected(
    request: web.Request, vendor: Vendor, grant: Grant, collection: str
) -> list[Document]:
    """Return the wanted records, newest first as WHOOP sorts them."""
    start, end = request.query.get("start"), request.query.get("end")
    found = vendor.documents.select(
        account=grant.account,
        collection=collection,
        since=moment_of(start) if start else None,
        until=moment_of(end) if end else world_of(request).clock(),
    )
    return found[::-1]


def _limit(query: Mapping[str, str]) -> int:
    limit = int(query.get("limit", _PAGE))
    if not 1 <= limit <= _MAX_PAGE:
        raise ValueError(limit)
    return limit


async def _sleep_of_cycle(request: web.Request) -> web.StreamResponse:
    vendor, grant = _entry(request, "sleep")
    wanted = request.match_info["key"]
    for document in vendor.documents.all(account=grant.account, collection="sleep"):
        if str(document.body.get("cycle_id")) == wanted and not document.body.get(
            "nap"
        ):
            return web.json_response(document.body)
    return problem(404, "No such sleep.")


def _person(part: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        vendor, grant = _entry(request, part)
        account = vendor.accounts.get(grant.account)
        if account is None or part not in account.profile:
            return problem(404, "No such account.")
        return web.json_response(account.profile[part])

    return handler


async def _revoke(request: web.Request) -> web.StreamResponse:
    vendor = world_of(request).vendors["whoop"]
    vendor.grants.revoke(grant_of(request, vendor).account)
    return web.Response(status=204)


def _entry(request: web.Request, part: str) -> tuple[Vendor, Grant]:
    """Return the vendor and the grant that may read this part; answers 401."""
    vendor = world_of(request).vendors["whoop"]
    grant = grant_of(request, vendor)
    # The documents list no 403 for the v2 API: a missing scope is a 401 as well.
    if _SCOPES[part] not in grant.scopes:
        raise refused(401, f"The token lacks the scope {_SCOPES[part]}.")
    return vendor, grant

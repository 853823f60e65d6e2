"""The fake Oura cloud: user collections, personal info, OAuth, subscriptions.

Reference: https://cloud.ouraring.com/v2/docs
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from aiohttp import web

from auren.devstack.fakes import oauth, oura_subscriptions
from auren.devstack.fakes.documents import BadCursorError, moment_of, page
from auren.devstack.fakes.gate import grant_of, guard, problem, refused, world_of
from auren.devstack.fakes.grants import Grant
from auren.devstack.fakes.limits import Verdict
from auren.devstack.fakes.world import Vendor

# The specification does not know these scopes; without them the live API answers 401.
_UNLISTED: Mapping[str, str] = {
    "daily_resilience": "stress",
    "daily_cardiovascular_age": "heart_health",
    "vO2_max": "heart_health",
    "ring_battery_level": "ring_configuration",
}
# Any one of the scopes opens the collection; everything else needs `daily`.
_SCOPES: Mapping[str, frozenset[str]] = {
    "daily_spo2": frozenset({"spo2Daily", "spo2"}),
    "enhanced_tag": frozenset({"tag"}),
    "heartrate": frozenset({"heartrate"}),
    "session": frozenset({"session"}),
    "tag": frozenset({"tag"}),
    "workout": frozenset({"workout"}),
    **{name: frozenset({scope}) for name, scope in _UNLISTED.items()},
}
COLLECTIONS = frozenset(
    {
        "tag",
        "enhanced_tag",
        "workout",
        "session",
        "sleep",
        "daily_sleep",
        "daily_readiness",
        "daily_activity",
        "daily_spo2",
        "sleep_time",
        "rest_mode_period",
        "ring_configuration",
        "daily_stress",
        "daily_cardiovascular_age",
        "daily_resilience",
        "vO2_max",
        "heartrate",
        "ring_battery_level",
    }
)
# These are rows of a time line: asked for by time, and without ids.
_BY_TIME = frozenset({"heartrate", "ring_battery_level"})
_RULES = oauth.Rules(vendor="oura")


def build() -> web.Application:
    """Return the application that is mounted under /oura."""
    app = web.Application(
        middlewares=[
            guard(
                "oura",
                headers=_limit_headers,
                shows_always=False,
                free=("/oauth/", "/v2/webhook/"),
            )
        ]
    )
    app.router.add_get("/oauth/authorize", oauth.authorize(_RULES))
    app.router.add_post("/oauth/token", oauth.token(_RULES))
    # Clients in the wild call it either way.
    app.router.add_route("GET", "/oauth/revoke", _revoke)
    app.router.add_route("POST", "/oauth/revoke", _revoke)
    app.router.add_get("/v2/usercollection/personal_info", _personal_info)
    app.router.add_get("/v2/usercollection/{collection}", _collection)
    app.router.add_get("/v2/usercollection/{collection}/{key}", _document)
    oura_subscriptions.add_routes(app)
    return app


def _limit_headers(_: Vendor, verdict: Verdict, now: datetime) -> dict[str, str]:
    wait = max(1, math.ceil(verdict.resets_at - now.timestamp()))
    return {
        "Retry-After": str(wait),
        "X-RateLimit-Limit": str(verdict.limit),
        "X-RateLimit-Window": str(verdict.window_s),
        "X-RateLimit-Reset": str(math.ceil(verdict.resets_at)),
        "X-RateLimit-Tier": verdict.tier,
    }


async def _personal_info(request: web.Request) -> web.StreamResponse:
    vendor = world_of(request).vendors["oura"]
    account = vendor.accounts.get(grant_of(request, vendor).account)
    if account is None:
        return problem(404, "No such account.")
    return web.json_response(account.profile.get("personal_info", {}))


async def _collection(request: web.Request) -> web.StreamResponse:
    world, name = world_of(request), request.match_info["collection"]
    vendor = world.vendors["oura"]
    grant = _entry(request, vendor, name)
    try:
        since, until = _range(request.query, by_time=name in _BY_TIME)
        documents = vendor.documents.select(
            account=grant.account, collection=name, since=since, until=until
        )
        part = page(
            documents, size=world.page_size, token=request.query.get("next_token")
        )
    except BadCursorError:
        return problem(400, "next_token is not known.")
    except ValueError:
        return problem(422, "start_date and end_date must be dates (YYYY-MM-DD).")
    return web.json_response({"data": part.bodies, "next_token": part.next_token})


async def _document(request: web.Request) -> web.StreamResponse:
    name = request.match_info["collection"]
    vendor = world_of(request).vendors["oura"]
    grant = _entry(request, vendor, name)
    document = vendor.documents.get(
        account=grant.account, collection=name, key=request.match_info["key"]
    )
    if document is None or name in _BY_TIME:
        return problem(404, "Document not found.")
    return web.json_response(document.body)


def _entry(request: web.Request, vendor: Vendor, collection: str) -> Grant:
    """Return the grant that may read this collection; answers 401, 403 or 404."""
    if collection not in COLLECTIONS:
        raise refused(404, "No such collection.")
    grant = grant_of(request, vendor)
    needed = _SCOPES.get(collection, frozenset({"daily"}))
    if not needed & grant.scopes:
        wanted = " or ".join(sorted(needed))
        status = 401 if collection in _UNLISTED else 403
        raise refused(status, f"The token lacks the scope {wanted}.")
    return grant


def _range(
    query: Mapping[str, str], *, by_time: bool
) -> tuple[datetime | None, datetime | None]:
    """Return the wanted span; both days of a span of days are included."""
    suffix = "datetime" if by_time else "date"
    since, until = query.get(f"start_{suffix}"), query.get(f"end_{suffix}")
    end = moment_of(until) if until else None
    if end is not None and not by_time:
        end += timedelta(days=1)
    return (moment_of(since) if since else None), end


async def _revoke(request: web.Request) -> web.StreamResponse:
    world = world_of(request)
    vendor = world.vendors["oura"]
    token = request.query.get("access_token", "")
    grant = vendor.grants.by_access(token, now=world.clock())
    if grant is not None:
        vendor.grants.revoke(grant.account)
    # RFC 7009: an unknown token is revoked enough.
    return web.json_response({})

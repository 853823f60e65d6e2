"""The control API: how tests and the simulator arrange what the fake vendors do.

POST   /control/accounts        {vendor, account, label, profile}
POST   /control/grants          {vendor, account, scopes?}      a grant, as if consented
POST   /control/grants/expire   {vendor, account}               access tokens run out
POST   /control/grants/revoke   {vendor, account}               consent withdrawn
POST   /control/documents       {put: [...], delete: [...], announces?}
POST   /control/faults          {vendor, kind, times?, path?, seconds?}
GET    /control/faults          what is still to happen;  DELETE  nothing more
GET    /control/state           what there is, and which requests came in
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from auren.devstack.fakes import oauth
from auren.devstack.fakes.faults import Fault, UnknownFaultError
from auren.devstack.fakes.gate import RefusedError, read_json, refused, world_of
from auren.devstack.fakes.world import Account, Vendor
from auren.devstack.simulator.wire import Document, DocumentRef

_ALL_SCOPES = {
    "oura": (
        "email personal daily heartrate workout tag session spo2Daily spo2 stress"
        " heart_health ring_configuration"
    ),
    "whoop": (
        "read:recovery read:cycles read:workout read:sleep read:profile"
        " read:body_measurement offline"
    ),
    "terra": "",
}


def build() -> web.Application:
    """Return the application that is mounted under /control."""
    app = web.Application(middlewares=[_answering])
    app.router.add_post("/accounts", _accounts)
    app.router.add_post("/grants", _grants)
    app.router.add_post("/grants/expire", _expire)
    app.router.add_post("/grants/revoke", _revoke)
    app.router.add_post("/documents", _documents)
    app.router.add_post("/faults", _add_fault)
    app.router.add_get("/faults", _faults)
    app.router.add_delete("/faults", _clear_faults)
    app.router.add_get("/state", _state)
    return app


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as refusal:
        return refusal.response


async def _accounts(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    vendor = _vendor(request, wanted)
    account = _text(wanted, "account")
    vendor.accounts[account] = Account(
        account=account,
        label=str(wanted.get("label") or account),
        profile=wanted.get("profile") or {},
    )
    return web.json_response({"account": account})


async def _grants(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    vendor = _vendor(request, wanted)
    account = _text(wanted, "account")
    if account not in vendor.accounts:
        raise refused(404, f"{vendor.slug} has no account {account!r}: add it first.")
    grant = vendor.grants.issue(
        account=account,
        scopes=str(wanted.get("scopes") or _ALL_SCOPES[vendor.slug]).split(),
        now=world_of(request).clock(),
    )
    return web.json_response(oauth.token_answer(vendor, grant))


async def _expire(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    now = world_of(request).clock()
    count = _vendor(request, wanted).grants.expire(_text(wanted, "account"), now=now)
    return web.json_response({"expired": count})


async def _revoke(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    count = _vendor(request, wanted).grants.revoke(_text(wanted, "account"))
    return web.json_response({"revoked": count})


async def _documents(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    world = world_of(request)
    try:
        put = [Document(**item) for item in wanted.get("put") or ()]
        gone = [DocumentRef(**item) for item in wanted.get("delete") or ()]
        for document in put:
            _named(request, document.vendor).documents.put(document)
    except (TypeError, ValueError) as error:
        raise refused(400, f"put or delete: {error}") from error
    for ref in gone:
        _named(request, ref.vendor).documents.delete(ref)
    announces = wanted.get("announces")
    shown = world.faults.next_webhook(vendor=str(announces)) if announces else []
    return web.json_response({"stored": len(put), "webhook_faults": shown})


async def _add_fault(request: web.Request) -> web.StreamResponse:
    wanted = await read_json(request)
    vendor = _vendor(request, wanted)
    try:
        fault = Fault(
            vendor=vendor.slug,
            kind=_text(wanted, "kind"),
            times=int(wanted.get("times", 1)),
            path=str(wanted.get("path", "")),
            seconds=float(wanted.get("seconds", 1.0)),
        )
        world_of(request).faults.add(fault)
    except (TypeError, ValueError, UnknownFaultError) as error:
        raise refused(400, str(error)) from error
    return web.json_response({"waiting": world_of(request).faults.waiting()})


async def _faults(request: web.Request) -> web.StreamResponse:
    return web.json_response({"waiting": world_of(request).faults.waiting()})


async def _clear_faults(request: web.Request) -> web.StreamResponse:
    world_of(request).faults.clear()
    return web.json_response({"waiting": []})


async def _state(request: web.Request) -> web.StreamResponse:
    vendors = world_of(request).vendors.values()
    shown = {
        vendor.slug: {
            "accounts": sorted(vendor.accounts),
            "documents": vendor.documents.count(),
            "requests": dict(vendor.requests),
        }
        for vendor in vendors
    }
    return web.json_response({"vendors": shown})


def _vendor(request: web.Request, wanted: dict[str, Any]) -> Vendor:
    return _named(request, _text(wanted, "vendor"))


def _named(request: web.Request, slug: str) -> Vendor:
    vendors = world_of(request).vendors
    if slug not in vendors:
        known = ", ".join(vendors)
        raise refused(404, f"vendor must be one of {known}, not {slug!r}.")
    return vendors[slug]


def _text(wanted: dict[str, Any], name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or not value:
        raise refused(400, f"{name} is missing.")
    return value

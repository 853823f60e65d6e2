"""A proxy in front of a token endpoint: its pages end no consent and are no grant."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from pytest_django.fixtures import Settings

from biometrics.connections import client, registry, tokens
from biometrics.errors import VendorUnavailableError
from biometrics.models import VendorConnection
from biometrics.vendors.registry import VENDORS, get_adapter
from biometrics.vendors.wire import ApiResponse
from tests.pipeline.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_breakers"),
]
_VENDORS = sorted(
    slug
    for slug in VENDORS
    if (spec := get_adapter(slug).api) is not None and spec.token_path
)
_START_S = 10
_HTML = {"Content-Type": "text/html"}
_JSON = {"Content-Type": "application/json"}
_PAGE = b"<!DOCTYPE html><title>proxy-page</title>Sign in, error: invalid_grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What stands in the vendor's place says this."""

    status: int
    body: bytes = _PAGE
    headers: dict[str, str] = field(default_factory=lambda: _HTML)


PAGES = {
    "200": Page(status=200),
    "302": Page(status=302, headers={**_HTML, "Location": "/proxy-page"}),
    "400": Page(status=400),
    "401": Page(status=401, headers={**_HTML, "WWW-Authenticate": "Basic"}),
    "403": Page(status=403),
    "404": Page(status=404),
    "407": Page(status=407, headers={**_HTML, "Proxy-Authenticate": "Basic"}),
    "502": Page(status=502),
    "511": Page(status=511),
    "200, said to be JSON": Page(status=200, headers=_JSON),
    "200, of no token": Page(
        status=200, headers=_JSON, body=b'{"status":"proxy-page","access_token":""}'
    ),
    "200, cut short": Page(status=200, headers={**_HTML, "Content-Encoding": "gzip"}),
    "400 of a gateway": Page(
        status=400,
        headers=_JSON,
        body=b'{"timestamp":"2026-11-24T08:00:00Z","status":400,'
        b'"error":"Bad Request","path":"/proxy-page"}',
    ),
    "401 of a gateway": Page(
        status=401, headers=_JSON, body=b'{"status":401,"error":"Unauthorized"}'
    ),
    "401 in small letters": Page(
        status=401, headers=_JSON, body=b'{"error":"unauthorized"}'
    ),
    "400 in a sentence": Page(
        status=400, headers=_JSON, body=b'{"error":"proxy-page: invalid_grant"}'
    ),
    "403 of a gateway": Page(
        status=403, headers=_JSON, body=b'{"error":"invalid_grant"}'
    ),
}


class Place:
    """Serves a vendor's address on the loopback: a page while there is one, else tokens."""

    def __init__(self) -> None:
        self.page: Page | None = None
        self.spent: list[str] = []
        self.base = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(_START_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(_START_S)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._done = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"data": []})
        form = await request.post()
        self.spent.append(str(form["refresh_token"]))
        if self.page is not None:
            page = self.page
            return web.Response(
                status=page.status, body=page.body, headers=page.headers
            )
        return web.json_response(
            {"access_token": "access-1", "refresh_token": "r-1", "expires_in": 3600}
        )


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    server = Place()
    server.start()
    told = {"client_id": "c", "client_secret": "s", "api_base": server.base}
    settings.AUREN_VENDORS = {
        slug: {**settings.AUREN_VENDORS.get(slug, {}), **told} for slug in _VENDORS
    }
    yield server
    server.stop()


def call(connection: VendorConnection, world: World) -> ApiResponse:
    """Call the vendor's API once with what the connection may call with."""

    async def ask() -> ApiResponse:
        async with client.open_session(now=world.clock) as session:
            adapter = get_adapter(connection.vendor)
            return await session.api_for(connection=connection, adapter=adapter).get(
                "/documents"
            )

    connection.refresh_from_db()
    return asyncio.run(ask())


def test_every_vendor_with_tokens_is_tried() -> None:
    assert {"oura", "whoop"} <= set(_VENDORS)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("vendor", _VENDORS)
def test_its_page_changes_nothing_and_the_grant_is_renewed_once_it_is_gone(
    world: World,
    place: Place,
    caplog: pytest.LogCaptureFixture,
    vendor: str,
    name: str,
) -> None:
    connection = registry.add_connection(
        vendor=vendor,
        account_id="someone",
        label="Ada",
        access_token="access-0",
        refresh_token="r-0",
        expires_at=world.now - timedelta(seconds=1),
    )
    kept = {"refresh_claim", "refresh_claimed_until"}
    before: dict[str, Any] = {**VendorConnection.objects.values().get()}
    place.page = PAGES[name]
    with pytest.raises(VendorUnavailableError):
        call(connection, world)
    after: dict[str, Any] = {**VendorConnection.objects.values().get()}
    changed = {column for column in after if after[column] != before[column]}
    assert changed <= kept
    assert after["status"] == "active"
    assert place.spent == ["r-0"]
    assert "proxy-page" not in f"{caplog.text} {after}"

    place.page = None
    world.wait(seconds=61)
    assert call(connection, world).status == 200
    assert place.spent == ["r-0", "r-0"]
    connection.refresh_from_db()
    assert tokens.decrypt(connection.refresh_token or b"") == "r-1"
    assert (connection.status, connection.status_reason) == ("active", "")

"""Real HTTP servers on free ports for the tests of simulator and fake vendors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from auren.devstack.fakes.server import build_app
from auren.devstack.fakes.world import Client, World, build_world

OURA = Client(client_id="oura-client", client_secret="oura-client-secret")
WHOOP = Client(client_id="whoop-client", client_secret="whoop-client-secret")
TERRA = Client(client_id="terra-dev", client_secret="terra-api-key")


@dataclass(slots=True)
class Clock:
    """A clock that a test moves."""

    now: datetime = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True, kw_only=True)
class Fakes:
    """The fake vendors, running."""

    url: str
    world: World
    clock: Clock
    session: aiohttp.ClientSession

    async def control(self, path: str, /, **payload: Any) -> dict[str, Any]:
        """Use the control API; anything but 200 fails the test."""
        url = f"{self.url}/control/{path}"
        async with self.session.post(url, json=payload) as answer:
            assert answer.status == 200, await answer.text()
            parsed: dict[str, Any] = await answer.json()
            return parsed

    async def grant(self, vendor: str, account: str, **extra: Any) -> dict[str, Any]:
        """Create an account and a grant for it."""
        await self.control("accounts", vendor=vendor, account=account)
        return await self.control("grants", vendor=vendor, account=account, **extra)

    async def put(self, vendor: str, account: str, **document: Any) -> None:
        """Record a document."""
        record = {"vendor": vendor, "account": account, **document}
        await self.control("documents", put=[record])

    async def get(
        self, path: str, token: str | None = None, **params: str
    ) -> tuple[int, Any]:
        """Return status and JSON of a GET."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.get(
            self.url + path, headers=headers, params=params
        ) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port of this machine."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fake_vendors(
    *,
    limit_factor: float = 1.0,
    page_size: int = 50,
    prepare: Callable[[web.Application], None] | None = None,
) -> AsyncIterator[Fakes]:
    """Serve the fake vendors with a clock that stands still."""
    clock = Clock()
    world = build_world(
        clients={"oura": OURA, "whoop": WHOOP, "terra": TERRA},
        clock=clock,
        limit_factor=limit_factor,
        page_size=page_size,
    )
    app = build_app(world)
    if prepare is not None:
        prepare(app)
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield Fakes(url=url, world=world, clock=clock, session=session)


@dataclass(slots=True)
class Received:
    """One request that reached the bridge."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Bridge:
    """A stand-in for the bridge's door: remembers requests, answers as it is told.

    `answers` are used up one a request; then everything is accepted, and what came
    before is a duplicate.
    """

    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int) -> None:
        """Return once so many requests have come; fails after half a minute."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                self._more.clear()
                await self._more.wait()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        seen = any(one.body == body for one in self.received)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, body))
        self._more.set()
        status = self.answers.pop(0) if self.answers else 200
        if status != 200:
            return web.json_response({"error": "told to"}, status=status)
        return web.json_response({"status": "duplicate" if seen else "accepted"})

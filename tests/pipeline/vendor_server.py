"""A vendor's API on a real socket: answers as a test plans, tokens as OAuth has them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from aiohttp import web

_START_S = 10


@dataclass(slots=True)
class Planned:
    """One answer of the API."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut_off: bool = False


class VendorServer:
    """Serves /v1/... and /oauth/token in a thread until stopped.

    Access tokens in `valid` are accepted. Each refresh token of `refreshable` works
    once and gives the next pair. `tokens_asked` and `calls` tell what was asked.
    """

    def __init__(self) -> None:
        self.valid = {"access-0"}
        self.refreshable = {"refresh-0"}
        self.refresh_status = 200
        self.refresh_body: object = None
        self.refresh_delay_s = 0.0
        # What is said in place of a grant, though the token is spent.
        self.refresh_says: bytes | None = None
        self.refresh_in_pieces = False
        # The token is spent, and nobody learns for what.
        self.refresh_cut_off = False
        self.scope = "read:sleep offline"
        self.calls: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self.tokens_asked: list[dict[str, str]] = []
        self.refreshing = threading.Event()
        # Called in a thread before a refresh token is looked at.
        self.on_refresh: Callable[[], object] = lambda: None
        self._plans: dict[str, deque[Planned]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stop: Callable[[], object] = lambda: None
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plan(self, path: str, *answers: Planned) -> None:
        """Answer these in turn; the last one for ever."""
        self._plans[path] = deque(answers)

    def says(self, path: str, body: object) -> None:
        self.plan(path, Planned(body=orjson.dumps(body)))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(_START_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(_START_S)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/{path:.*}", self._document)
        app.router.add_post("/oauth/token", self._token)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        done = asyncio.Event()
        self._stop = done.set
        self._ready.set()
        await done.wait()
        await runner.cleanup()

    async def _document(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"]
        self.calls.append(path)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer not in self.valid:
            return web.Response(status=401)
        plans = self._plans.get(path)
        if not plans:
            return web.Response(status=404)
        planned = plans.popleft() if len(plans) > 1 else plans[0]
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(planned.delay_s)
        self._at_once -= 1
        if planned.cut_off:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"{")
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(
            status=planned.status, body=planned.body, headers=planned.headers
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(text) for key, text in (await request.post()).items()}
        self.tokens_asked.append(form)
        self.refreshing.set()
        await asyncio.to_thread(self.on_refresh)
        if self.refresh_status != 200:
            return web.json_response(self.refresh_body, status=self.refresh_status)
        if form.get("refresh_token") not in self.refreshable:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.refreshable.remove(form["refresh_token"])
        if self.refresh_says is not None:
            return web.Response(body=self.refresh_says)
        number = len(self.tokens_asked)
        # As WHOOP does it: both old tokens die at once.
        self.valid = {f"access-{number}"}
        self.refreshable.add(f"refresh-{number}")
        pair = {
            "access_token": f"access-{number}",
            "refresh_token": f"refresh-{number}",
            "expires_in": 3600,
            "scope": self.scope,
        }
        if self.refresh_cut_off:
            assert request.transport is not None
            request.transport.close()
        if self.refresh_in_pieces:
            return await self._in_pieces(request, orjson.dumps(pair))
        await asyncio.sleep(self.refresh_delay_s)
        return web.json_response(pair)

    async def _in_pieces(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Send half of an answer, and the rest after `refresh_delay_s`."""
        answer = web.StreamResponse()
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[:60])
        await asyncio.sleep(self.refresh_delay_s)
        await answer.write(body[60:])
        return answer

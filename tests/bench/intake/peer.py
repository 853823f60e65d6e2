"""The peer: FastAPI and asyncpg, one committed row a request; and the limit: no work."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

from tests.bench.intake.proof import dedupe_key, is_genuine

_INSERT = (
    "INSERT INTO peer_delivery (vendor, dedupe_key, headers, body)"
    " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
_ACCEPTED = b'{"status":"accepted"}'
_DUPLICATE = b'{"status":"duplicate"}'


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=10, max_size=25
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan, docs_url=None, openapi_url=None)


@app.post("/webhooks/{vendor}")
async def webhook(vendor: str, request: Request) -> Response:
    """Verify, store with a commit of its own, answer."""
    body = await request.body()
    if not is_genuine(vendor, request.headers, body):
        return Response(status_code=401)
    payload = orjson.loads(body)
    headers = orjson.dumps(dict(request.headers)).decode()
    done = await request.app.state.pool.execute(
        _INSERT, vendor, dedupe_key(vendor, payload, body), headers, body
    )
    answer = _DUPLICATE if done.endswith(" 0") else _ACCEPTED
    return Response(answer, media_type="application/json")


async def nothing(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer 200 and do no work: as much as the server itself can do."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"21")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ACCEPTED})

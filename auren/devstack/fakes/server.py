"""The server that shows the fake vendors under /oura, /whoop, /terra and /control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from auren.devstack.fakes import control, oura, terra, whoop
from auren.devstack.fakes.world import WORLD, World
from auren.devstack.simulator.sender import Secrets, Sender
from auren.devstack.simulator.wire import Delivery

# Batches of documents come in through the control API; clients send far less.
_MAX_BODY = 64 * 1024 * 1024


def build_app(world: World) -> web.Application:
    """Return the whole server."""
    app = web.Application(client_max_size=_MAX_BODY)
    app[WORLD] = world
    app.add_subapp("/oura", oura.build())
    app.add_subapp("/whoop", whoop.build())
    app.add_subapp("/terra", terra.build())
    app.add_subapp("/control", control.build())
    return app


def send_webhooks(app: web.Application, *, bridge: str, secrets: Secrets) -> None:
    """Let the vendors send what they send of their own accord to this bridge.

    That is: Terra's connection events and the data that was asked for by webhook. A
    request is answered at once, its webhook follows (with Terra's retries).
    """
    world = app[WORLD]

    async def background(_: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            sender = Sender(
                session=session, bridge=bridge, secrets=secrets, clock=world.clock
            )
            running: set[asyncio.Task[object]] = set()

            async def announce(delivery: Delivery) -> None:
                task: asyncio.Task[object] = asyncio.create_task(sender.send(delivery))
                running.add(task)
                task.add_done_callback(running.discard)

            world.announce = announce
            yield
            world.announce = None
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    app.cleanup_ctx.append(background)

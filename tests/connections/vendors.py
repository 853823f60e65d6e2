"""The fake vendors on a real socket, beside a test that is not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from auren.devstack.fakes.world import World
from tests.devstack.servers import fake_vendors

_WAIT_S = 20


@contextmanager
def running_fakes() -> Iterator[tuple[str, World]]:
    """Serve the fake vendors in a thread; return their address and what they know."""
    ready, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    found: list[tuple[str, World]] = []

    async def serve() -> None:
        async with fake_vendors() as fakes:
            found.append((fakes.url, fakes.world))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(_WAIT_S)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(_WAIT_S)
        loop.close()

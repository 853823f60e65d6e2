"""The web process: webhooks on a slim path, Django for staff, a socket for live numbers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auren.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()

from django.core.exceptions import ImproperlyConfigured  # noqa: E402, I001
from django.db import InterfaceError, OperationalError  # noqa: E402
from redis import RedisError  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402

from auren import celery as _celery  # noqa: E402, F401 - nudges use the configured app
from auren.safety import verdicts  # noqa: E402
from auren.uploads import within_limits  # noqa: E402
from biometrics import bearings, tracing  # noqa: E402
from biometrics.handler import PREFIXES, WebhookHandler  # noqa: E402
from biometrics.intake import runtime as intake  # noqa: E402
from biometrics.realtime.routing import websocket_urlpatterns  # noqa: E402

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)
# RFC 6455's list of codes.
_TRY_AGAIN_LATER = 1013

_webhooks = WebhookHandler()
_live = AllowedHostsOriginValidator(
    AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
)


async def application(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Route one connection; Channels' own router knows no lifespan, so we do."""
    kind = scope["type"]
    if kind == "lifespan":
        await _lifespan(receive, send)
        return
    bearings.arrive(scope["headers"])
    if kind == "websocket":
        await _watch(scope, receive, send)
    elif scope["path"].startswith(PREFIXES):
        await _webhooks(scope, receive, send)
    else:
        await within_limits(_django, scope, receive, send)  # type: ignore[arg-type]


async def _watch(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve the live socket; without database or Redis say to come again later."""
    try:
        await _live(scope, receive, send)
    except (OperationalError, InterfaceError, RedisError) as error:
        logger.warning("live.unavailable", extra={"error": type(error).__name__})
        # The browser may have left meanwhile.
        with contextlib.suppress(RuntimeError):
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start the intake before the first request; flush it before the process ends."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await asyncio.to_thread(verdicts.refuse_unsafe)
            except ImproperlyConfigured as unsafe:
                await send({"type": "lifespan.startup.failed", "message": str(unsafe)})
                return
            intake.current()
            _settle()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await intake.close()
            await asyncio.to_thread(tracing.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return


def _settle() -> None:
    """Take what start-up made out of the collector's sight.

    Django's classes and caches stay to the end, but every full collection walked all of
    them: some 15 % of the processor time of a webhook.
    """
    gc.collect()
    gc.freeze()

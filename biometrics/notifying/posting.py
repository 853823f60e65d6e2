"""One signed POST to somebody's webhook, behind a breaker of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from biometrics.errors import BiometricsError
from biometrics.public_addresses import PublicResolver, check_url
from resilience import CircuitBreakerOpen, get_breaker

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_GONE = 410


class NotToldError(BiometricsError):
    """The receiver did not take it; another attempt may succeed."""


class GoneError(BiometricsError):
    """The receiver says for good that nobody listens there any more (410)."""


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    breaker: str,
    is_open: bool,
) -> None:
    """Send one message; returns once the receiver has said 2xx.

    Follows no redirect and keeps nothing of the answer. Raises NotToldError, GoneError,
    ForbiddenAddressError.
    """
    check_url(url, is_open=is_open)
    try:
        with get_breaker(breaker):
            asyncio.run(_send(url, body=body, headers=headers, is_open=is_open))
    except CircuitBreakerOpen as error:
        message = "The webhook is being left alone after failures."
        raise NotToldError(message) from error


async def _send(
    url: str, *, body: bytes, headers: Mapping[str, str], is_open: bool
) -> None:
    resolver = None if is_open else PublicResolver()
    connector = aiohttp.TCPConnector(resolver=resolver, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http,
            http.post(
                url,
                data=body,
                headers={"content-type": "application/json", **headers},
                allow_redirects=False,
            ) as response,
        ):
            status = response.status
    except TimeoutError as error:
        raise NotToldError("The webhook is too slow.") from error
    except aiohttp.ClientError as error:
        message = f"The webhook cannot be reached ({type(error).__name__})."
        raise NotToldError(message) from error
    if status == _GONE:
        raise GoneError("The webhook answered 410: nobody listens there any more.")
    if not 200 <= status < 300:
        message = f"The webhook answered {status}."
        raise NotToldError(message)

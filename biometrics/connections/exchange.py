"""Single calls of the application (consents, subscriptions), with the vendor's errors in our words."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from django.conf import settings

from biometrics.connections.bodies import whole_body
from biometrics.connections.guard import Guard
from biometrics.errors import VendorRefusedError, VendorUnavailableError

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_MAX_ANSWER = 256 * 1024


def open_http() -> aiohttp.ClientSession:
    """Return a session for a handful of calls."""
    connector = aiohttp.TCPConnector(limit=settings.AIOHTTP_CONNECTOR_LIMIT)
    return aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector)


async def ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    guard: Guard,
    form: str | None = None,
    payload: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    limit: int = _MAX_ANSWER,
) -> bytes:
    """Return the body of a 2xx answer.

    Raises VendorUnavailableError (away, left alone, 429, 5xx) or VendorRefusedError.
    """
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    async with guard.passing():
        try:
            async with http.request(
                method,
                url,
                data=form,
                json=payload,
                headers={**kind, **(headers or {})},
                allow_redirects=False,
            ) as answer:
                body = await whole_body(answer, limit=limit)
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"The vendor cannot be reached ({type(error).__name__})."
            raise VendorUnavailableError(message) from error
        trouble = await guard.verdict(status=answer.status, headers=answer.headers)
        if isinstance(trouble, VendorUnavailableError):
            raise trouble
    if not 200 <= answer.status < 300:
        message = f"The vendor refused what was asked for ({answer.status})."
        raise VendorRefusedError(message, status=answer.status, permanent=True)
    return body

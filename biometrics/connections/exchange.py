"""Single calls while a person connects, with the vendor's errors in our words."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from biometrics.connections.bodies import whole_body
from biometrics.errors import VendorRefusedError, VendorUnavailableError

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_MAX_ANSWER = 256 * 1024


def open_http() -> aiohttp.ClientSession:
    """Return a session for a handful of calls."""
    return aiohttp.ClientSession(timeout=_TIMEOUT)


async def ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    form: str | None = None,
    payload: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the body of a 2xx answer.

    Raises VendorUnavailableError (away, 429, 5xx) or VendorRefusedError.
    """
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    try:
        async with http.request(
            method,
            url,
            data=form,
            json=payload,
            headers={**kind, **(headers or {})},
            allow_redirects=False,
        ) as answer:
            body = await whole_body(answer, limit=_MAX_ANSWER)
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"The vendor cannot be reached ({type(error).__name__})."
        raise VendorUnavailableError(message) from error
    if answer.status >= 500 or answer.status == 429:
        message = f"The vendor answered {answer.status}."
        raise VendorUnavailableError(message)
    if not 200 <= answer.status < 300:
        message = f"The vendor refused what was asked for ({answer.status})."
        raise VendorRefusedError(message, status=answer.status, permanent=True)
    return body

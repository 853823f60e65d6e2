"""Payloads at addresses that a delivery names: only from the vendor's own hosts.

The address is only as trustworthy as the delivery's signature, and opens the payload to
whoever reads it: it is in no error and in no log line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings
from yarl import URL

from biometrics.connections.bodies import read_up_to
from biometrics.connections.guard import Guard
from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.public_addresses import (
    ForbiddenAddressError,
    PublicResolver,
    literal_of,
)

_CONNECT_S = 5.0
# So much silence ends a download; what comes buys it time, up to so much in all.
SILENCE_S = 15.0
LONGEST_S = 40.0
_S_PER_MIB = 1.0
_MIB = 2**20


def connector() -> aiohttp.TCPConnector:
    """Return what connects to public addresses alone."""
    return aiohttp.TCPConnector(
        limit=settings.AIOHTTP_CONNECTOR_LIMIT, resolver=PublicResolver()
    )


def open_downloads() -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """Return a session for downloads: bounded in time, without cookies and proxies."""
    timeout = aiohttp.ClientTimeout(
        total=LONGEST_S, sock_connect=_CONNECT_S, sock_read=SILENCE_S
    )
    return aiohttp.ClientSession(
        connector=connector(), timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    )


def check_address(url: str, *, hosts: Collection[str], setting: str) -> None:
    """Raise UnreadableDeliveryError unless it is an https address at one of the hosts."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        agrees = (URL(url, encoded=True).host or "").lower() == host
    except ValueError:
        raise UnreadableDeliveryError("not an address", field="url") from None
    if parts.scheme != "https" or port not in {None, 443}:
        raise UnreadableDeliveryError("not an https address", field="url")
    is_number = literal_of(host) is not None
    if not agrees or "@" in parts.netloc or is_number or not url.isprintable():
        raise UnreadableDeliveryError("not an address of a named host", field="url")
    if host not in hosts:
        message = f"its host is not in {setting}; if it is the vendor's, name it there"
        raise UnreadableDeliveryError(message, field="url")


async def download(
    url: str, *, http: aiohttp.ClientSession, guard: Guard, limit: int
) -> bytes | None:
    """Return what lies at a checked address, None where it is larger than `limit`.

    Raises VendorUnavailableError (a retry can help) or VendorRefusedError.
    """
    async with guard.passing():
        try:
            # As it is written: to encode it anew would spoil the signature in it.
            address = URL(url, encoded=True)
            async with _patience() as came, _asked(address, http=http) as answer:
                trouble = await guard.verdict(
                    status=answer.status, headers=answer.headers
                )
                if isinstance(trouble, VendorUnavailableError):
                    raise trouble
                if answer.status != 200:
                    message = f"The payload's address answered {answer.status}."
                    raise VendorRefusedError(
                        message, status=answer.status, permanent=False
                    )
                return await read_up_to(answer, limit=limit, came=came)
        except ForbiddenAddressError:
            message = "The name of the payload's host leads into a network of ours."
            raise VendorUnavailableError(message) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"The payload cannot be reached ({type(error).__name__})."
            raise VendorUnavailableError(message) from None


@asynccontextmanager
async def _asked(
    address: URL, *, http: aiohttp.ClientSession
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask; at the end hang up on what was not read: no TLS farewell outlives the loop."""
    async with http.get(address, allow_redirects=False) as answer:
        try:
            yield answer
        finally:
            if (
                answer.connection is not None
                and answer.connection.transport is not None
            ):
                answer.connection.transport.abort()


@asynccontextmanager
async def _patience() -> AsyncIterator[Callable[[int], None]]:
    """Raise TimeoutError where too little comes; yields what is to hear how much came."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(SILENCE_S) as limit:

        def came(size: int) -> None:
            allowed = SILENCE_S + size / _MIB * _S_PER_MIB
            limit.reschedule(began + min(LONGEST_S, allowed))

        yield came

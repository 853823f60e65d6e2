"""Payloads at addresses that a delivery names: only from the vendor's own hosts.

The address is only as trustworthy as the delivery's signature, and opens the payload to
whoever reads it: it is in no error and in no log line.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from yarl import URL

from biometrics.connections.bodies import read_up_to
from biometrics.connections.guard import Guard
from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)

_CONNECT_S = 5.0
# So much silence ends a download; what comes buys it time, up to so much in all.
SILENCE_S = 15.0
LONGEST_S = 40.0
_S_PER_MIB = 1.0
_MIB = 2**20


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses alone: a name may be pointed at our network."""

    def __init__(self) -> None:
        self._plain = aiohttp.ThreadedResolver()

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """Return the addresses; raises OSError where one of them is not public."""
        found = await self._plain.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise OSError("The name leads to an address that is not public.")
        return found

    async def close(self) -> None:
        """Nothing is held open."""
        await self._plain.close()


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast


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
    if not agrees or "@" in parts.netloc or _is_number(host) or not url.isprintable():
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


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

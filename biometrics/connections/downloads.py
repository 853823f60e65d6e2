"""Payloads at addresses that a delivery names: only from the vendor's own hosts.

The address is only as trustworthy as the delivery's signature, and opens the payload to
whoever reads it: it is in no error and in no log line.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from yarl import URL

from biometrics.connections.bodies import read_up_to
from biometrics.connections.guard import Guard
from biometrics.errors import (
    AnswerTooLargeError,
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)

_CONNECT_S = 5.0
# With what a batch begins before, below the lease of its shard.
_LONGEST_S = 15.0


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
    total = min(settings.VENDOR_TIMEOUT_S, _LONGEST_S)
    timeout = aiohttp.ClientTimeout(total=total, sock_connect=min(_CONNECT_S, total))
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
) -> bytes:
    """Return what lies at a checked address.

    Raises VendorUnavailableError (a retry can help) or VendorRefusedError.
    """
    async with guard.passing():
        try:
            # As it is written: to encode it anew would spoil the signature in it.
            address = URL(url, encoded=True)
            async with http.get(address, allow_redirects=False) as answer:
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
                body = await read_up_to(answer, limit=limit)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"The payload cannot be reached ({type(error).__name__})."
            raise VendorUnavailableError(message) from None
        if body is None:
            message = f"The payload is larger than {limit // 2**20} MiB."
            raise AnswerTooLargeError(message, status=200, permanent=False)
    return body


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

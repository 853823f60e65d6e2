"""Where calls may go whose address others name: never into our own network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from biometrics.errors import BiometricsError


class ForbiddenAddressError(BiometricsError):
    """A URL or name that leads where no call may go; the text says why."""


def check_url(url: str, *, is_open: bool) -> None:
    """Refuse a URL that could never be allowed; raises ForbiddenAddressError.

    With `is_open`, which only a development machine has, plain HTTP and addresses of
    our own network are allowed. What a name leads to is checked at each connection.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddressError("The URL cannot be read.") from None
    if parts.scheme != "https" and not (is_open and parts.scheme == "http"):
        raise ForbiddenAddressError("The URL must begin with https://.")
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ForbiddenAddressError(
            "The URL must name a host, and hold neither a user nor a fragment."
        )
    if port == 0:
        raise ForbiddenAddressError("There is no port 0.")
    literal = literal_of(parts.hostname)
    if literal is not None and not is_open:
        _check(literal)


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses one that leads to any address of ours.

    The connection is made to the very addresses that were looked at, so a name cannot
    answer one thing to the check and another to the connection.
    """

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises ForbiddenAddressError."""
        found: list[Any] = await self._inner.resolve(host, port, family)
        for one in found:
            _check(ipaddress.ip_address(one["host"].partition("%")[0]))
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def literal_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address where the host is one, in any spelling that a system takes."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001, 2130706433 and the like.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _check(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(
        address, "sixtofour", None
    )
    real = mapped or address
    if not real.is_global or real.is_multicast or _is_translated(real):
        message = f"The address {address} is not on the public internet."
        raise ForbiddenAddressError(message)


def _is_translated(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Say whether a gateway would turn it into an address of the older kind."""
    return address in ipaddress.ip_network("64:ff9b::/96")

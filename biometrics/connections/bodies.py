"""Whole bodies of vendors' answers, however many pieces they come in."""

from __future__ import annotations

import aiohttp

from biometrics.errors import VendorUnavailableError

_PIECE = 64 * 1024


async def read_up_to(response: aiohttp.ClientResponse, *, limit: int) -> bytes | None:
    """Return the whole body, None where it has more bytes than `limit`.

    A single read of a stream returns what has arrived so far: half of an answer with a
    single-use token in it would be taken for nonsense, and the token be lost.
    """
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(_PIECE):
        chunks += chunk
        if len(chunks) > limit:
            return None
    return bytes(chunks)


async def whole_body(response: aiohttp.ClientResponse, *, limit: int) -> bytes:
    """Return the whole body; VendorUnavailableError where it is larger than `limit`."""
    body = await read_up_to(response, limit=limit)
    if body is None:
        message = f"The vendor's answer is larger than {limit // 1024} KiB."
        raise VendorUnavailableError(message)
    return body

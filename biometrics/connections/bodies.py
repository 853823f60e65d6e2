"""Whole bodies of vendors' answers, however many pieces they come in."""

from __future__ import annotations

import io
from collections.abc import Callable

import aiohttp

from biometrics.errors import VendorUnavailableError

_PIECE = 64 * 1024


async def read_up_to(
    response: aiohttp.ClientResponse,
    *,
    limit: int,
    came: Callable[[int], None] | None = None,
) -> bytes | None:
    """Return the whole body, None where it has more bytes than `limit`.

    `came` hears after each piece how much there is. A single read of a stream returns
    what has arrived so far: half of an answer with a single-use token in it would be
    taken for nonsense, and the token be lost.
    """
    if (response.content_length or 0) > limit:
        return None
    # Its value is the buffer itself: joined or copied, a body would be held twice.
    whole = io.BytesIO()
    async for piece in response.content.iter_chunked(_PIECE):
        whole.write(piece)
        if whole.tell() > limit:
            return None
        if came is not None:
            came(whole.tell())
    return whole.getvalue()


async def whole_body(response: aiohttp.ClientResponse, *, limit: int) -> bytes:
    """Return the whole body; VendorUnavailableError where it is larger than `limit`."""
    body = await read_up_to(response, limit=limit)
    if body is None:
        message = f"The vendor's answer is larger than {limit // 1024} KiB."
        raise VendorUnavailableError(message)
    return body

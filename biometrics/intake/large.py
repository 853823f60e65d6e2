"""Bodies of megabytes on their way into PostgreSQL, piece by piece.

As part of a statement one would be held ten times over.
"""

from __future__ import annotations

import binascii
import io
from typing import Any

LARGE_BODY = 1024 * 1024
# Where, in the statement that follows `copy`, the body is.
BODY = "(SELECT body FROM auren_large_body)"
# Of this session alone, and empty after each transaction.
_TABLE = """
CREATE TEMPORARY TABLE IF NOT EXISTS auren_large_body (body bytea)
ON COMMIT DELETE ROWS;
DELETE FROM auren_large_body
"""
_COPY = "COPY auren_large_body FROM STDIN"
_PIECE = 256 * 1024


def copy(cursor: Any, body: bytes) -> None:
    """Have the database hold a body for the next statement of this transaction.

    `cursor` is one of psycopg2's.
    """
    cursor.execute(_TABLE)
    cursor.copy_expert(_COPY, _HexLine(body), size=2 * _PIECE)


class _HexLine(io.BufferedIOBase):
    """A body as the one line of a COPY, read piece by piece."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = memoryview(body)
        self._at = 0
        self._started = self._ended = False

    def read(self, size: int | None = None, /) -> bytes:
        """Return about `size` bytes; nothing at the end."""
        if not self._started:
            self._started = True
            return rb"\\x"
        piece = self._body[self._at : self._at + max((size or 0) // 2, 1)]
        self._at += len(piece)
        if piece:
            return binascii.hexlify(piece)
        if not self._ended:
            self._ended = True
            return b"\n"
        return b""

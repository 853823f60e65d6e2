"""Proof of origin: constant-time HMAC comparison and freshness of signed times."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from biometrics.errors import SignatureError

Encoding = Literal["hex", "hex-lower", "base64"]

# Seconds since 1970 stay below this number until the year 5138; milliseconds passed it
# in 1973. So the magnitude tells the unit.
_MILLISECONDS_FROM = 10**11


def parse_unix(
    text: str | None, *, unit: Literal["s", "ms", "either"], header: str
) -> float:
    """Return the seconds since the epoch that a signed time header names.

    Raises SignatureError when it is absent, not a plain number, or in the wrong unit.
    """
    if not text:
        raise SignatureError("missing_timestamp", f"Header {header} is missing.")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise SignatureError("bad_timestamp", f"{header} is not a whole number.")
    number = int(text)
    is_ms = number >= _MILLISECONDS_FROM
    if unit == "s" and is_ms:
        raise SignatureError("bad_timestamp", f"{header} is not in seconds.")
    if unit == "ms" and not is_ms:
        raise SignatureError("bad_timestamp", f"{header} is not in milliseconds.")
    return number / 1000 if is_ms else float(number)


def check_freshness(*, signed_at: float, now: datetime, tolerance_s: float) -> None:
    """Raise SignatureError unless the signed time lies within the window, both ways."""
    if abs(now.timestamp() - signed_at) > tolerance_s:
        raise SignatureError(
            "stale_timestamp",
            "The signed time is outside the accepted window; check both clocks.",
        )


def matching_secret(
    *,
    secrets: Sequence[str],
    message: bytes | Iterable[bytes],
    signatures: Sequence[str],
    encoding: Encoding,
) -> int:
    """Return the index of the first secret under which any signature is genuine.

    All pairs are compared, so the time taken tells nothing about which one matched.
    Raises SignatureError when none does.
    """
    presented = [_decode(text, encoding=encoding) for text in signatures]
    slot: int | None = None
    parts = (message,) if isinstance(message, bytes) else tuple(message)
    for index, secret in enumerate(secrets):
        digest = hmac.new(secret.encode(), digestmod=hashlib.sha256)
        for part in parts:
            digest.update(part)
        expected = digest.digest()
        for candidate in presented:
            if hmac.compare_digest(expected, candidate) and slot is None:
                slot = index
    if slot is None:
        raise SignatureError("bad_signature", "The signature matches no active secret.")
    return slot


def _decode(text: str, *, encoding: Encoding) -> bytes:
    """Return the digest bytes of a signature, empty when it is not one."""
    try:
        if encoding == "base64":
            raw = base64.b64decode(text.encode("ascii"), validate=True)
        elif encoding == "hex-lower" and text != text.lower():
            raw = b""
        else:
            raw = bytes.fromhex(text) if text.isalnum() else b""
    except (ValueError, binascii.Error):
        return b""
    return raw if len(raw) == hashlib.sha256().digest_size else b""

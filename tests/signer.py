"""Signs like the vendors do, so that tests never sign with the code under test.

Standard library only, written from the vendors' documents, held to signature vectors
that other people's code agreed on (`tests/test_signer.py`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime


def unix_seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


def unix_milliseconds(at: datetime) -> str:
    return str(int(at.timestamp()) * 1000 + at.microsecond // 1000)


def oura(*, secret: str, body: bytes, timestamp: str) -> dict[str, str]:
    digest = _hmac_sha256(secret, timestamp.encode() + body)
    return {"x-oura-signature": digest.hex().upper(), "x-oura-timestamp": timestamp}


def whoop(*, secret: str, body: bytes, timestamp: str) -> dict[str, str]:
    digest = _hmac_sha256(secret, timestamp.encode() + body)
    return {
        "x-whoop-signature": base64.b64encode(digest).decode(),
        "x-whoop-signature-timestamp": timestamp,
    }


def terra(*, secret: str, body: bytes, timestamp: str) -> dict[str, str]:
    digest = _hmac_sha256(secret, timestamp.encode() + b"." + body)
    return {"terra-signature": f"t={timestamp},v1={digest.hex()}"}


def healthkit(*, token: str) -> dict[str, str]:
    """HealthKit senders sign nothing: a personal token proves them."""
    return {"authorization": f"Bearer {token}"}


def headers(vendor: str, *, secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the proof that a genuine sender of this vendor puts on a body.

    `secret` is the personal token for HealthKit.
    """
    if vendor == "oura":
        return oura(secret=secret, body=body, timestamp=unix_milliseconds(at))
    if vendor == "whoop":
        return whoop(secret=secret, body=body, timestamp=unix_milliseconds(at))
    if vendor == "terra":
        return terra(secret=secret, body=body, timestamp=unix_seconds(at))
    if vendor == "healthkit":
        return healthkit(token=secret)
    raise ValueError(vendor)


def _hmac_sha256(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()

"""How each vendor signs its webhooks, from the vendors' documents alone.

Shares no code with the bridge, so that a mistake in one is not a mistake in both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime


def oura_headers(*, secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """Upper-case hex over timestamp + body, the timestamp in milliseconds.

    https://cloud.ouraring.com/v2/docs#section/Webhooks
    """
    stamp = str(_milliseconds(at))
    digest = _digest(secret=secret, message=stamp.encode() + body)
    return {
        "x-oura-signature": digest.hex().upper(),
        "x-oura-timestamp": stamp,
    }


def whoop_headers(*, secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """Base64 over timestamp + body, the timestamp in milliseconds.

    https://developer.whoop.com/docs/developing/webhooks
    """
    stamp = str(_milliseconds(at))
    digest = _digest(secret=secret, message=stamp.encode() + body)
    return {
        "X-WHOOP-Signature": base64.b64encode(digest).decode("ascii"),
        "X-WHOOP-Signature-Timestamp": stamp,
    }


def terra_headers(*, secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """`t=<seconds>,v1=<lower-case hex over t + "." + body>`, under both header names.

    https://docs.tryterra.co/health-and-fitness-api/reference/security
    """
    stamp = str(_milliseconds(at) // 1000)
    digest = _digest(secret=secret, message=stamp.encode() + b"." + body)
    value = f"t={stamp},v1={digest.hex()}"
    return {"X-Terra-Signature": value, "terra-signature": value}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def _digest(*, secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, hashlib.sha256)

"""The signatures of two vendors, as a careful author of a small service checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

from tests.bench.intake.load import SECRET

_KEY = SECRET.encode()
_TOLERANCE_S = 300


def is_genuine(vendor: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the body was signed by this vendor within the last five minutes."""
    if vendor == "whoop":
        stamp = headers.get("x-whoop-signature-timestamp", "")
        digest = hmac.digest(_KEY, stamp.encode() + body, hashlib.sha256)
        expected = base64.b64encode(digest).decode()
        given, at = headers.get("x-whoop-signature", ""), stamp[:-3]
    else:
        parts = dict(
            part.split("=", 1)
            for part in headers.get("terra-signature", "").split(",")
            if "=" in part
        )
        at, given = parts.get("t", ""), parts.get("v1", "")
        expected = hmac.new(_KEY, at.encode() + b"." + body, "sha256").hexdigest()
    fresh = at.isdigit() and abs(time.time() - int(at)) < _TOLERANCE_S
    return fresh and hmac.compare_digest(given.encode(), expected.encode())


def dedupe_key(vendor: str, payload: Mapping[str, object], body: bytes) -> str:
    """Return what makes two copies of a delivery the same."""
    if vendor == "whoop":
        return str(payload["trace_id"])
    return hashlib.sha256(body).hexdigest()

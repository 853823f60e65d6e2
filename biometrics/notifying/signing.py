"""Standard Webhooks, the sending side.

Signature   v1,base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))
Headers     webhook-id, webhook-timestamp (seconds), webhook-signature
Secret      "whsec_" + base64 of 24 to 64 bytes
Reference   https://github.com/standard-webhooks/standard-webhooks
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

from biometrics.errors import ConfigurationError

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a fresh secret, as receivers' libraries take it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(
    *, secret: str, message_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """Return the headers that prove a message; raises ConfigurationError."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ConfigurationError("The webhook's secret is no base64.") from None

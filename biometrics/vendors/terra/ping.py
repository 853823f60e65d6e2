"""Terra's ping mode: `s3_payload` names a pre-signed address of what was to be sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import load_object
from biometrics.vendors.payloads import PayloadAddress

# S3 signs for a week at most; without a word its answer tells that it was too late.
_LONGEST_S = 7 * 86_400.0
_WITHOUT_WORD_S = 3600.0
_LONGEST_URL = 8192
_STRUCK_OUT = "(struck out)"


class TerraPayloads:
    """See Payloads."""

    event_type: str = "s3_payload"
    hosts: tuple[str, ...] = ("terra-payload-bucket.s3.eu-west-2.amazonaws.com",)

    def address_in(self, body: bytes, *, received_at: datetime) -> PayloadAddress:
        """See Payloads; an address whose signature was struck out is none any more."""
        said = load_object(body)
        url = said.get("url")
        if not isinstance(url, str) or not 0 < len(url) <= _LONGEST_URL:
            raise UnreadableDeliveryError("no address of a payload", field="url")
        if url.endswith(_STRUCK_OUT):
            message = "its signature was struck out, have Terra send it again"
            raise UnreadableDeliveryError(message, field="url")
        life = timedelta(seconds=_life(said.get("expires_in")))
        return PayloadAddress(url=url, expires_at=received_at + life)

    def struck_out(self, body: bytes) -> bytes:
        """See Payloads; of fields that Terra may add nothing is known, so none stays."""
        try:
            said = load_object(body)
        except UnreadableDeliveryError:
            said = {}
        kept: dict[str, object] = {"type": self.event_type}
        if isinstance(said.get("expires_in"), int):
            kept["expires_in"] = said["expires_in"]
        kept["url"] = f"{_place(said.get('url'))}?{_STRUCK_OUT}"
        return orjson.dumps(kept)


def _life(said: object) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float):
        return _WITHOUT_WORD_S
    return said if 0 < said <= _LONGEST_S else _WITHOUT_WORD_S


def _place(url: object) -> str:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host = parts.hostname or ""
    except ValueError:
        return ""
    is_plain = host.isascii() and host.replace("-", "").replace(".", "").isalnum()
    path = parts.path if parts.path.isascii() else ""
    return f"https://{host}{path}" if is_plain else ""

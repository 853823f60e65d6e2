"""Acme beds: a mattress that measures the night and pushes it.

Signature   lowercase hex of HMAC-SHA256(secret, time + "." + body)
Headers     acme-signature, acme-time (seconds)
Delivery    the data itself; a night is told anew whenever Acme learns more of it
Reference   none: this vendor lives in the tests
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from biometrics.errors import MalformedPayloadError, SignatureError
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.coverage import Covered
from biometrics.vendors.fields import load_envelope, load_object, text
from biometrics.vendors.records import Understanding
from biometrics.vendors.signatures import check_freshness, matching_secret, parse_unix
from biometrics.vendors.wire import (
    Credentials,
    Envelope,
    InboundRequest,
    StoredDelivery,
)
from tests.vendors.acme.mapping import COVERAGE
from tests.vendors.acme.nights import record_of

_SIGNATURE = "acme-signature"
_TIME = "acme-time"
_KINDS = ("night", "night_removed")


class Acme(VendorAdapter):
    """Adapter of Acme's push."""

    slug: ClassVar[str] = "acme"
    title: ClassVar[str] = "Acme"
    coverage: ClassVar[tuple[Covered, ...]] = COVERAGE
    event_types: ClassVar[frozenset[str]] = frozenset(_KINDS)
    auto_provision: ClassVar[bool] = True
    proof_headers: ClassVar[tuple[str, ...]] = (_SIGNATURE, _TIME)

    def verify(self, request: InboundRequest, *, credentials: Credentials) -> int:
        """Return the slot of the secret that signed; raises SignatureError."""
        if not request.body:
            raise SignatureError("empty_body", "The request has no body.")
        time = request.header(_TIME)
        signed_at = parse_unix(time, unit="s", header=_TIME)
        check_freshness(
            signed_at=signed_at,
            now=request.received_at,
            tolerance_s=credentials.tolerance_s,
        )
        return matching_secret(
            secrets=credentials.secrets,
            message=((time or "").encode(), b".", request.body),
            signatures=[request.header(_SIGNATURE) or ""],
            encoding="hex-lower",
        )

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return the bed as the account, and the bytes as the key of copies."""
        body = load_envelope(request.body)
        bed, kind = text(body, "bed"), text(body, "kind", limit=40)
        if bed is None or kind is None:
            raise MalformedPayloadError("malformed", "Field bed or kind is no text.")
        digest = hashlib.sha256(request.body).hexdigest()
        return Envelope(
            account_id=bed,
            event_type=kind,
            dedupe_key=f"{bed}:{digest}",
            ignored=None if kind in _KINDS else "of no kind that is used here",
            trace=text(body, "id"),
        )

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Return the night, or its end."""
        body = load_object(delivery.body)
        kind = text(body, "kind", limit=40)
        if kind not in _KINDS:
            return Understanding(ignored="of no kind that is used here")
        record = record_of(
            body, is_removed=kind == "night_removed", now=delivery.received_at
        )
        return Understanding(records=(record,))

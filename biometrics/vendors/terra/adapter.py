"""Terra: one webhook, the data itself in the body.

Signature   header X-Terra-Signature and its older double Terra-Signature:
            t=<unix seconds>,v1=<hex>; v1 = lowercase hex of HMAC-SHA256(signing secret,
            t + "." + body); several v1 while a secret is being replaced
Headers     X-Terra-Trace-Id names a delivery and stays on retries;
            X-Terra-Ordering-Timestamp (unix ms) is when Terra made it;
            terra-reference is the same for all chunks of a request: never a key
Answers     2xx within 8 s; anything from 400 up is sent again for a day
Reference   https://docs.tryterra.co/ and https://github.com/tryterra/openapi
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import ClassVar

from biometrics.errors import (
    MalformedPayloadError,
    SignatureError,
    UnreadableDeliveryError,
)
from biometrics.vendors.api_spec import ApiSpec, ApplicationKeys, RateLimit
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.coverage import Covered
from biometrics.vendors.fields import load_envelope, load_object, text
from biometrics.vendors.listing import Listing
from biometrics.vendors.payloads import Payloads
from biometrics.vendors.records import Understanding
from biometrics.vendors.roster import Roster
from biometrics.vendors.signatures import (
    check_freshness,
    matching_secret,
    parse_unix,
)
from biometrics.vendors.terra.connection import CHANGES, account_of, reference_of
from biometrics.vendors.terra.coverage import COVERAGE
from biometrics.vendors.terra.lists import TerraListing, days_asked
from biometrics.vendors.terra.ping import TerraPayloads
from biometrics.vendors.terra.records import KINDS
from biometrics.vendors.terra.roster import TerraRoster
from biometrics.vendors.terra.said import data_of, profile_of
from biometrics.vendors.terra.widget import TerraWidget
from biometrics.vendors.wire import (
    Credentials,
    Envelope,
    InboundRequest,
    StoredDelivery,
)

_SIGNATURES = ("x-terra-signature", "terra-signature")
_TRACE = "x-terra-trace-id"
_ORDERING = "x-terra-ordering-timestamp"
_LONGEST_TRACE = 180
_EARLIEST_S = datetime(2000, 1, 1, tzinfo=UTC).timestamp()

_PING = TerraPayloads.event_type
_OPERATION = "Terra's own housekeeping"
_UNMAPPED = "a data type without a metric of ours"
# Names under which some of Terra's pages know an event.
_OTHER_NAMES = {"user_auth": "auth"}
_IGNORED = {
    "auth_cancelled": "nobody was connected",
    "processing": _OPERATION,
    "large_request_processing": _OPERATION,
    "large_request_sending": _OPERATION,
    "rate_limit_hit": _OPERATION,
    "google_no_datasource": _OPERATION,
    "healthcheck": _OPERATION,
    "hormone": _UNMAPPED,
    "planned_workout": _UNMAPPED,
    "route": _UNMAPPED,
    "lab_report": _UNMAPPED,
    "lab_report.completed": _UNMAPPED,
    "lab_report.failed": _UNMAPPED,
}


class Terra(VendorAdapter):
    """Adapter of Terra's unified webhook."""

    slug: ClassVar[str] = "terra"
    title: ClassVar[str] = "Terra"
    coverage: ClassVar[tuple[Covered, ...]] = COVERAGE
    topic: ClassVar[str] = "terra-biometric-events"
    event_types: ClassVar[frozenset[str]] = frozenset({*KINDS, "athlete", *CHANGES})
    # https://docs.tryterra.co/reference: no user tokens, the API key opens everything.
    api: ClassVar[ApiSpec | None] = ApiSpec(
        base="https://api.tryterra.co",
        prefix="/v2",
        keys=ApplicationKeys(
            headers={"dev-id": "dev_id", "x-api-key": "api_key"},
            account_parameter="user_id",
        ),
        # Counted in days of data that are asked for, not in calls.
        limits=(
            RateLimit(amount=6000, window_s=3600, each="account", cost=days_asked),
        ),
        consent=TerraWidget(),
    )
    listing: ClassVar[Listing | None] = TerraListing()
    roster: ClassVar[Roster | None] = TerraRoster()
    payloads: ClassVar[Payloads | None] = TerraPayloads()
    auto_provision: ClassVar[bool] = True
    max_body_bytes: ClassVar[int | None] = None
    kept_headers: ClassVar[tuple[str, ...]] = (_TRACE, _ORDERING)
    proof_headers: ClassVar[tuple[str, ...]] = _SIGNATURES

    def verify(self, request: InboundRequest, *, credentials: Credentials) -> int:
        """Return the slot of the secret that proves Terra sent this."""
        if not request.body:
            raise SignatureError("empty_body", "An empty body proves nothing.")
        stamp, signatures = _parts(_signature(request))
        signed_at = parse_unix(stamp, unit="s", header="Terra-Signature t")
        slot = matching_secret(
            secrets=credentials.secrets,
            message=(f"{stamp}.".encode(), request.body),
            signatures=signatures,
            encoding="hex-lower",
        )
        check_freshness(
            signed_at=signed_at,
            now=request.received_at,
            tolerance_s=credentials.tolerance_s,
        )
        return slot

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return account, type and key of a delivery; see the base class."""
        body = load_envelope(request.body)
        event_type = _event_type(body)
        if event_type is None:
            raise MalformedPayloadError("malformed", "Field type is missing.")
        account = account_of(body)
        ignored = _reason_to_ignore(event_type)
        if account is None and ignored is None and event_type != _PING:
            raise MalformedPayloadError("malformed", "Field user.user_id is missing.")
        trace = request.header(_TRACE)
        if not trace or len(trace) > _LONGEST_TRACE or not trace.isprintable():
            trace = None
        key = trace or f"sha256:{hashlib.sha256(request.body).hexdigest()}"
        return Envelope(
            account_id=account or "",
            event_type=event_type,
            dedupe_key=f"{account or ''}:{key}",
            reference=reference_of(body),
            ignored=ignored,
            trace=trace,
        )

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Turn a delivery into records or a connection change; see the base class."""
        body = load_object(delivery.body)
        event_type = _event_type(body)
        if event_type is None:
            raise UnreadableDeliveryError("no text", field="type")
        if event_type == _PING:
            # Step 4 has made what it announces a delivery of its own.
            return Understanding(ignored="it holds an address, no data")
        if event_type in CHANGES:
            return Understanding(connection_changes=(CHANGES[event_type](body),))
        if event_type == "athlete":
            return Understanding(records=(profile_of(body, stamp=_stamp(delivery)),))
        if event_type in KINDS:
            return data_of(
                body,
                event_type=event_type,
                stamp=_stamp(delivery),
                now=delivery.received_at,
            )
        return Understanding(ignored=_reason_to_ignore(event_type))


def _signature(request: InboundRequest) -> str:
    """Return the signature header, of which Terra sends an old and a new name."""
    found = {v for v in (request.header(n) for n in _SIGNATURES) if v is not None}
    if not found:
        raise SignatureError("missing_signature", "Header Terra-Signature is missing.")
    if len(found) > 1:
        detail = "X-Terra-Signature and Terra-Signature differ."
        raise SignatureError("doubled_header", detail)
    return found.pop()


def _parts(header: str) -> tuple[str | None, list[str]]:
    """Return `t` and every `v1`; other schemes are ignored, lest they be weaker."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    if len(stamps) > 1:
        raise SignatureError("bad_timestamp", "Terra-Signature names t twice.")
    signatures = [value for name, _, value in pairs if name == "v1"]
    if not signatures:
        raise SignatureError("missing_signature", "Terra-Signature has no v1.")
    return (stamps[0] if stamps else None), signatures


def _event_type(body: object) -> str | None:
    # Terra's newer products call it event_type.
    said = text(body, "type", limit=80) or text(body, "event_type", limit=80)
    return _OTHER_NAMES.get(said, said) if said else None


def _reason_to_ignore(event_type: str) -> str | None:
    if event_type in Terra.event_types or event_type == _PING:
        return None
    return _IGNORED.get(event_type, "a type that this version does not know")


def _stamp(delivery: StoredDelivery) -> datetime:
    """Return when Terra made the delivery; a retry keeps it, a later version has more.

    What is no credible time of making, or later than receipt, is the time of receipt: a
    clock that runs ahead would make every later version look old.
    """
    received = delivery.received_at
    text_ms = delivery.headers.get(_ORDERING) or ""
    if not (text_ms.isascii() and text_ms.isdigit() and len(text_ms) <= 15):
        return received
    seconds = int(text_ms) / 1000
    if not _EARLIEST_S <= seconds <= received.timestamp():
        return received
    return datetime.fromtimestamp(seconds, tz=UTC)

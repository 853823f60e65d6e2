"""Oura webhooks (API v2).

Signature   uppercase hex of HMAC-SHA256(client secret, timestamp + body), no separator
Headers     x-oura-signature, x-oura-timestamp (milliseconds; seconds are accepted)
Handshake   GET ?verification_token=...&challenge=... is answered {"challenge": ...}
Delivery    notification only: the document is fetched by its id
Reference   https://cloud.ouraring.com/v2/docs#section/Webhooks
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote

import orjson

from biometrics.errors import (
    ConfigurationError,
    MalformedPayloadError,
    SignatureError,
    UnreadableDeliveryError,
    VendorUnavailableError,
)
from biometrics.vendors.api_spec import ApiSpec, ConsentSpec, RateLimit
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.fields import load_envelope, load_object
from biometrics.vendors.oura.coverage import COVERAGE
from biometrics.vendors.oura.documents import build_record, deleted_record
from biometrics.vendors.oura.lists import OuraListing
from biometrics.vendors.oura.mapping import KINDS
from biometrics.vendors.oura.notice import ACTIONS, Notice, is_announced, read_notice
from biometrics.vendors.oura.subscriptions import OuraSubscribing
from biometrics.vendors.records import Problem, Record, Understanding
from biometrics.vendors.signatures import (
    check_freshness,
    matching_secret,
    parse_unix,
)
from biometrics.vendors.wire import (
    ApiResponse,
    Credentials,
    Envelope,
    Handshake,
    InboundRequest,
    StoredDelivery,
    VendorApi,
)

_TIMESTAMP = "x-oura-timestamp"
_SIGNATURE = "x-oura-signature"
_LONGEST_CHALLENGE = 1024


class Oura(VendorAdapter):
    slug = "oura"
    title = "Oura"
    coverage = COVERAGE
    event_types: ClassVar[frozenset[str]] = frozenset(
        f"{data_type}.{event}"
        for data_type in KINDS
        if is_announced(data_type)
        for event in ACTIONS
    )
    notifies_only = True
    # https://cloud.ouraring.com/v2/docs
    api = ApiSpec(
        base="https://api.ouraring.com",
        token_path="/oauth/token",  # noqa: S106
        # Of each token there is a limit too, but no number of it is published.
        limits=(RateLimit(amount=5000, window_s=300),),
        consent=ConsentSpec(
            base="https://cloud.ouraring.com",
            path="/oauth/authorize",
            scopes=(
                "personal",
                "daily",
                "heartrate",
                "workout",
                "tag",
                "session",
                "spo2",
                # Not in the specification, but the API refuses collections without.
                "stress",
                "ring_configuration",
                "heart_health",
            ),
            renamed={"spo2Daily": "spo2"},
            pkce=True,
            account_path="/v2/usercollection/personal_info",
            account_field="id",
        ),
    )
    listing = OuraListing()
    subscriptions = OuraSubscribing()
    # Retries run for about an hour and may still bear the time of the first attempt.
    default_tolerance_s = 4200.0
    kept_headers = (_TIMESTAMP,)
    proof_headers = (_SIGNATURE, _TIMESTAMP)

    def verify(self, request: InboundRequest, *, credentials: Credentials) -> int:
        """Return the slot of the client secret that signed; raises SignatureError."""
        if not request.body:
            raise SignatureError("empty_body", "The request has no body.")
        signature = request.header(_SIGNATURE)
        if not signature:
            raise SignatureError(
                "missing_signature", f"Header {_SIGNATURE} is missing."
            )
        timestamp = request.header(_TIMESTAMP)
        # Oura's documents show 13 digits in one version and 10 in another.
        signed_at = parse_unix(timestamp, unit="either", header=_TIMESTAMP)
        check_freshness(
            signed_at=signed_at,
            now=request.received_at,
            tolerance_s=credentials.tolerance_s,
        )
        return matching_secret(
            secrets=credentials.secrets,
            message=((timestamp or "").encode(), request.body),
            signatures=[signature],
            encoding="hex",
        )

    def handshake(
        self, request: InboundRequest, *, verification_token: str
    ) -> Handshake | None:
        """Echo the challenge to who knows our token: 401 without it, 400 without one.

        Raises ConfigurationError while no token is set.
        """
        if not verification_token:
            raise ConfigurationError("Set AUREN_OURA_VERIFICATION_TOKEN.")
        presented = request.query.get("verification_token", "")
        if not _same_text(presented, verification_token):
            detail = "verification_token is not AUREN_OURA_VERIFICATION_TOKEN."
            return Handshake(
                status=401, payload={"error": "bad_token", "detail": detail}
            )
        challenge = request.query.get("challenge", "")
        if not 0 < len(challenge) <= _LONGEST_CHALLENGE:
            detail = "Send a challenge of 1 to 1024 characters."
            return Handshake(
                status=400, payload={"error": "bad_challenge", "detail": detail}
            )
        return Handshake(status=200, payload={"challenge": challenge})

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return the account, `<data type>.<event>` and the five fields as one key."""
        body = load_envelope(request.body)
        try:
            notice = read_notice(body)
        except UnreadableDeliveryError as error:
            raise MalformedPayloadError("malformed", str(error)) from None
        return Envelope(
            account_id=notice.account_id,
            event_type=f"{notice.data_type}.{notice.event}",
            dedupe_key=_dedupe_key(notice, request),
            ignored=notice.ignored,
            trace=notice.object_id,
        )

    async def fetch(
        self, delivery: StoredDelivery, api: VendorApi
    ) -> Sequence[ApiResponse]:
        """Fetch the one document that the notification names; none for a deletion.

        A 404 is an answer too: the document was deleted meanwhile.
        """
        notice = read_notice(load_object(delivery.body))
        if notice.ignored or notice.event == "delete" or notice.object_id is None:
            return ()
        collection = KINDS[notice.data_type].collection
        document_id = quote(notice.object_id, safe="")
        response = await api.get(f"/v2/usercollection/{collection}/{document_id}")
        if response.status != 404:
            _refuse_what_is_cut_off(response)
        return (response,)

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Return the record that the notification is about."""
        notice = read_notice(load_object(delivery.body))
        if notice.ignored or notice.object_id is None:
            return Understanding(ignored=notice.ignored)
        data_type, record_id = notice.data_type, notice.object_id
        if notice.event == "delete":
            stamp = delivery.received_at
        else:
            if not delivery.documents:
                raise UnreadableDeliveryError("not fetched", field="documents[0]")
            answer = delivery.documents[0]
            if answer.status != 404:
                return Understanding(records=(_fetched(answer, notice),))
            stamp = answer.fetched_at
        gone = deleted_record(data_type=data_type, record_id=record_id, stamp=stamp)
        return Understanding(records=(gone,))


def _same_text(presented: str, expected: str) -> bool:
    return hmac.compare_digest(
        presented.encode(errors="surrogatepass"),
        expected.encode(errors="surrogatepass"),
    )


def _dedupe_key(notice: Notice, request: InboundRequest) -> str:
    if notice.object_id is None or notice.event_time is None:
        timestamp = request.header(_TIMESTAMP) or ""
        digest = hashlib.sha256(request.body).hexdigest()
        return f"{notice.account_id}|{timestamp[:20]}|{digest}"
    return "|".join(
        (
            notice.account_id,
            notice.data_type,
            notice.object_id,
            notice.event,
            notice.event_time,
        )
    )


def _refuse_what_is_cut_off(response: ApiResponse) -> None:
    try:
        orjson.loads(response.body)
    except orjson.JSONDecodeError:
        message = f"{response.url} answered {response.status} with broken JSON."
        raise VendorUnavailableError(message) from None


def _fetched(answer: ApiResponse, notice: Notice) -> Record:
    document = load_object(answer.body, where="documents[0]")
    if document.get("id") is None:
        document["id"] = notice.object_id
    record = build_record(
        data_type=notice.data_type,
        document=document,
        stamp=answer.fetched_at,
        action=ACTIONS[notice.event],
        where="documents[0]",
    )
    if record.record_id == notice.object_id:
        return record
    # The id in the document stands: it is the one that lists bring too.
    other = Problem(field="id", reason="differs from the object_id announced")
    return replace(record, problems=(*record.problems, other))

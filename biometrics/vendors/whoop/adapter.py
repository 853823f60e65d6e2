"""WHOOP webhooks (API v2).

Signature   base64 of HMAC-SHA256(client secret, timestamp + body), no separator
Headers     X-WHOOP-Signature, X-WHOOP-Signature-Timestamp (milliseconds)
Delivery    notification only: the record is fetched by its id
Reference   https://developer.whoop.com/docs/developing/webhooks
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from biometrics.errors import (
    MalformedPayloadError,
    NotYetError,
    SignatureError,
    UnreadableDeliveryError,
    VendorUnavailableError,
)
from biometrics.vendors.api_spec import ApiSpec, ConsentSpec, RateLimit
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.fields import dig, load_envelope, load_object
from biometrics.vendors.records import Action, Problem, Record, Understanding
from biometrics.vendors.signatures import (
    check_freshness,
    matching_secret,
    parse_unix,
)
from biometrics.vendors.whoop.coverage import COVERAGE
from biometrics.vendors.whoop.documents import build_record, deleted_record, is_pending
from biometrics.vendors.whoop.lists import WhoopListing
from biometrics.vendors.whoop.mapping import KINDS
from biometrics.vendors.whoop.notice import EVENT_TYPES, Notice, read_notice
from biometrics.vendors.wire import (
    ApiResponse,
    Credentials,
    Envelope,
    InboundRequest,
    StoredDelivery,
    VendorApi,
)

_TIMESTAMP = "x-whoop-signature-timestamp"
_SIGNATURE = "x-whoop-signature"


class Whoop(VendorAdapter):
    slug = "whoop"
    title = "WHOOP"
    coverage = COVERAGE
    event_types: ClassVar[frozenset[str]] = EVENT_TYPES
    notifies_only = True
    # https://developer.whoop.com/docs/developing/oauth, .../rate-limiting
    api = ApiSpec(
        base="https://api.prod.whoop.com",
        prefix="/developer",
        token_path="/oauth/oauth2/token",  # noqa: S106
        refresh_fields={"scope": "offline"},
        shared_limit=True,
        limits=(
            RateLimit(amount=100, window_s=60),
            RateLimit(amount=10_000, window_s=86_400),
        ),
        consent=ConsentSpec(
            base="https://api.prod.whoop.com",
            path="/oauth/oauth2/auth",
            scopes=(
                "read:recovery",
                "read:cycles",
                "read:workout",
                "read:sleep",
                "read:profile",
                "read:body_measurement",
                "offline",
            ),
            account_path="/v2/user/profile/basic",
            account_field="user_id",
        ),
    )
    listing = WhoopListing()
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
        check_freshness(
            signed_at=parse_unix(timestamp, unit="ms", header=_TIMESTAMP),
            now=request.received_at,
            tolerance_s=credentials.tolerance_s,
        )
        return matching_secret(
            secrets=credentials.secrets,
            message=((timestamp or "").encode(), request.body),
            signatures=[signature],
            encoding="base64",
        )

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return the member, the type as sent, and the trace id as key."""
        body = load_envelope(request.body)
        try:
            notice = read_notice(body)
        except UnreadableDeliveryError as error:
            raise MalformedPayloadError("malformed", str(error)) from None
        return Envelope(
            account_id=notice.account_id,
            event_type=notice.event_type,
            dedupe_key=_dedupe_key(notice, request),
            ignored=notice.ignored,
            trace=notice.trace_id,
        )

    async def fetch(
        self, delivery: StoredDelivery, api: VendorApi
    ) -> Sequence[ApiResponse]:
        """Fetch the record; for a recovery its sleep and, by way of the cycle, itself.

        A workout or sleep that is 404 was deleted meanwhile, and with a sleep its
        recovery. Raises NotYetError while the cycle has no recovery.
        """
        notice = read_notice(load_object(delivery.body))
        if notice.ignored or notice.is_deletion:
            return ()
        data_type = "sleep" if notice.data_type == "recovery" else notice.data_type
        path = f"{KINDS[data_type].path}/{quote(notice.object_id, safe='')}"
        first = await api.get(path)
        if first.status == 404:
            return (first,)
        document = _parsed(first)
        if notice.data_type != "recovery":
            return (first,)
        cycle_id = dig(document, "cycle_id")
        # There is no route from a sleep, or by an id, to a recovery.
        if isinstance(cycle_id, bool) or not isinstance(cycle_id, int):
            raise NotYetError("The sleep of this recovery has no cycle_id yet.")
        recovery = await api.get(f"/v2/cycle/{cycle_id}/recovery")
        if recovery.status == 404:
            raise NotYetError("The cycle of this sleep has no recovery yet.")
        _parsed(recovery)
        return (first, recovery)

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Return the record that the notification is about."""
        notice = read_notice(load_object(delivery.body))
        if notice.ignored:
            return Understanding(ignored=notice.ignored)
        if notice.is_deletion:
            return Understanding(records=(_gone(notice, delivery.received_at),))
        if not delivery.documents:
            raise UnreadableDeliveryError("not fetched", field="documents[0]")
        first = delivery.documents[0]
        if first.status == 404:
            return Understanding(records=(_gone(notice, first.fetched_at),))
        if notice.data_type == "recovery":
            return _said(_recovery(delivery.documents, notice))
        document = load_object(first.body, where="documents[0]")
        record = build_record(
            data_type=notice.data_type,
            document=document,
            fetched_at=first.fetched_at,
            action=_action(document),
            where="documents[0]",
        )
        return _said(_checked(record, notice, field="id"))


def _dedupe_key(notice: Notice, request: InboundRequest) -> str:
    if notice.trace_id is not None:
        return f"{notice.account_id}|{notice.version}|{notice.trace_id}"
    timestamp = request.header(_TIMESTAMP) or ""
    digest = hashlib.sha256(request.body).hexdigest()
    return f"{notice.account_id}|{notice.version}|{timestamp[:20]}|{digest}"


def _parsed(response: ApiResponse) -> Any:
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        message = f"{response.url} answered {response.status} with broken JSON."
        raise VendorUnavailableError(message) from None


def _said(record: Record) -> Understanding:
    return Understanding(records=(record,), is_unfinished=is_pending(record))


def _gone(notice: Notice, stamp: datetime) -> Record:
    return deleted_record(
        data_type=notice.data_type, record_id=notice.object_id, stamp=stamp
    )


def _action(document: dict[str, Any]) -> Action:
    """WHOOP says "updated" of new records too; an untouched one is new."""
    created_at = document.get("created_at")
    is_new = created_at is not None and created_at == document.get("updated_at")
    return "created" if is_new else "updated"


def _recovery(documents: Sequence[ApiResponse], notice: Notice) -> Record:
    if len(documents) < 2:
        raise UnreadableDeliveryError("not fetched", field="documents[1]")
    sleep = load_object(documents[0].body, where="documents[0]")
    document = load_object(documents[1].body, where="documents[1]")
    record = build_record(
        data_type="recovery",
        document=document,
        fetched_at=documents[0].fetched_at,
        action=_action(document),
        related=(sleep,),
        where="documents[1]",
    )
    return _checked(record, notice, field="sleep_id")


def _checked(record: Record, notice: Notice, *, field: str) -> Record:
    if record.record_id == notice.object_id:
        return record
    # The id in the document stands: it is the one that lists bring too.
    other = Problem(field=field, reason="differs from the id announced")
    return replace(record, problems=(*record.problems, other))

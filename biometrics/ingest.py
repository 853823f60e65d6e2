"""Step 2: prove who sent it, read the envelope, hand it to the writer.

The body is authenticated as raw bytes before anything of it is parsed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from biometrics import bearings, metrics, tracing
from biometrics.errors import (
    ConfigurationError,
    MalformedPayloadError,
    SignatureError,
    WebhookError,
)
from biometrics.intake.large import LARGE_BODY
from biometrics.intake.rows import DeliveryRow
from biometrics.intake.runtime import IntakeRuntime
from biometrics.shards import shard_of
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.records import JsonScalar
from biometrics.vendors.wire import Credentials, Envelope, Handshake, InboundRequest

_KEPT_HEADERS = ("content-type", "content-encoding", "user-agent")
_KEPT_VALUE = 300
# Looking a metric's labels up takes longer than counting.
_slot_used = cache(metrics.SECRET_SLOT_USED.labels)
_deliveries = cache(metrics.DELIVERIES.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What the sender is told: the row is on disk."""

    status: int
    payload: Mapping[str, JsonScalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    # None: by a token of the person, which no list of secrets holds.
    slot: int | None
    account_id: str | None


async def admit(
    request: InboundRequest, *, adapter: VendorAdapter, runtime: IntakeRuntime
) -> Admitted:
    """Verify, store, answer. What this returns as accepted survives any crash.

    Raises SignatureError and other WebhookErrors (nothing stored, counted),
    MalformedPayloadError (stored and parked), StoreUnavailableError, ConfigurationError.
    """
    sent = bearings.traceparent_in(request.headers)
    span = tracing.begin("intake", traceparent=sent)
    # The sender's own is kept as it came; consumers may know it.
    kept = sent or span.traceparent
    if kept and not sent:
        bearings.begin_trace(kept)
    try:
        admitted = await _admit(
            request, adapter=adapter, runtime=runtime, traceparent=kept
        )
    except BaseException as error:
        span.end(error=type(error).__name__, vendor=adapter.slug)
        raise
    span.end(vendor=adapter.slug, outcome=str(admitted.payload["status"]))
    return admitted


async def _admit(
    request: InboundRequest,
    *,
    adapter: VendorAdapter,
    runtime: IntakeRuntime,
    traceparent: str,
) -> Admitted:
    try:
        proven = await _prove(request, adapter=adapter, runtime=runtime)
    except WebhookError:
        runtime.writer.count_rejected(
            vendor=adapter.slug, received_at=request.received_at
        )
        raise
    if proven.slot is not None:
        _slot_used(adapter.slug, str(proven.slot)).inc()
    try:
        envelope = await _read(request, adapter=adapter, proven=proven)
    except MalformedPayloadError as error:
        row = _malformed_row(
            request,
            adapter=adapter,
            proven=proven,
            error=error,
            traceparent=traceparent,
        )
        await _store(row, runtime=runtime)
        raise
    except WebhookError:
        runtime.writer.count_rejected(
            vendor=adapter.slug, received_at=request.received_at
        )
        raise
    row = _row(
        request,
        adapter=adapter,
        proven=proven,
        envelope=envelope,
        traceparent=traceparent,
    )
    is_new = await _store(row, runtime=runtime)
    return _answer(row, adapter=adapter, envelope=envelope, is_new=is_new)


async def _store(row: DeliveryRow, *, runtime: IntakeRuntime) -> bool:
    """Have the row written; return whether it was new."""
    since = tracing.clock()
    error = ""
    try:
        return await runtime.writer.write(row)
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        tracing.record(
            "store",
            since=since,
            traceparent=row.traceparent,
            error=error,
            vendor=row.vendor,
        )


def handshake(request: InboundRequest, *, adapter: VendorAdapter) -> Handshake | None:
    """Answer a vendor's check of this address; None where the vendor has none.

    Raises ConfigurationError when the verification token is not set.
    """
    token = settings.AUREN_VENDORS.get(adapter.slug, {}).get("verification_token", "")
    answer = adapter.handshake(request, verification_token=token)
    if answer is not None and not token:
        name = f"AUREN_{adapter.slug.upper()}_VERIFICATION_TOKEN"
        message = f"{name} is not set, so no handshake can be answered."
        raise ConfigurationError(message)
    return answer


def body_cap(adapter: VendorAdapter) -> int:
    """Return how many bytes a body of this vendor may have."""
    return adapter.max_body_bytes or settings.WEBHOOK_MAX_BODY_MB * 1024 * 1024


@cache
def credentials_of(adapter: VendorAdapter) -> Credentials:
    """Return the active secrets of a vendor; raises ConfigurationError without one."""
    secrets = settings.AUREN_WEBHOOK_SECRETS.get(adapter.slug, [])
    if not secrets and not adapter.personal_tokens:
        name = f"AUREN_WEBHOOK_SECRET_{adapter.slug.upper()}"
        message = f"{name} is not set, so no sender can be proven."
        raise ConfigurationError(message)
    tolerance = settings.AUREN_VENDORS.get(adapter.slug, {}).get("tolerance_s", -1)
    return Credentials(
        secrets=tuple(secrets),
        tolerance_s=tolerance if tolerance > 0 else adapter.default_tolerance_s,
    )


async def _prove(
    request: InboundRequest, *, adapter: VendorAdapter, runtime: IntakeRuntime
) -> _Proven:
    if adapter.personal_tokens:
        token = adapter.presented_token(request)
        if not token:
            raise SignatureError("missing_token", "Send the person's token.")
        digest = hashlib.sha256(token.encode()).hexdigest()
        account = await runtime.tokens.account(digest)
        if account is None:
            raise SignatureError("unknown_token", "The token is unknown or revoked.")
        return _Proven(slot=None, account_id=account)
    credentials = credentials_of(adapter)
    if len(request.body) > LARGE_BODY:
        slot = await asyncio.to_thread(adapter.verify, request, credentials=credentials)
    else:
        slot = adapter.verify(request, credentials=credentials)
    return _Proven(slot=slot, account_id=None)


async def _read(
    request: InboundRequest, *, adapter: VendorAdapter, proven: _Proven
) -> Envelope:
    if len(request.body) > LARGE_BODY:
        return await asyncio.to_thread(
            adapter.envelope, request, account_id=proven.account_id
        )
    return adapter.envelope(request, account_id=proven.account_id)


def _row(
    request: InboundRequest,
    *,
    adapter: VendorAdapter,
    proven: _Proven,
    envelope: Envelope,
    traceparent: str,
) -> DeliveryRow:
    ignored = envelope.ignored is not None
    return DeliveryRow(
        vendor=adapter.slug,
        account_id=envelope.account_id,
        reference=envelope.reference or "",
        event_type=envelope.event_type[:80],
        dedupe_key=envelope.dedupe_key,
        shard=shard_of(adapter.slug, envelope.account_id),
        body=request.body,
        headers=_kept(request, adapter=adapter),
        traceparent=traceparent,
        trace=(envelope.trace or "")[:200],
        secret_slot=proven.slot or 0,
        received_at=request.received_at,
        status="ignored" if ignored else "pending",
        error_code="ignored" if ignored else "",
        error=(envelope.ignored or "")[:500],
    )


def _malformed_row(
    request: InboundRequest,
    *,
    adapter: VendorAdapter,
    proven: _Proven,
    error: MalformedPayloadError,
    traceparent: str,
) -> DeliveryRow:
    account = proven.account_id or ""
    digest = hashlib.sha256(request.body).hexdigest()
    return DeliveryRow(
        vendor=adapter.slug,
        account_id=account,
        reference="",
        event_type="",
        dedupe_key=f"malformed:{account}:{digest}",
        shard=shard_of(adapter.slug, account),
        body=request.body,
        headers=_kept(request, adapter=adapter),
        traceparent=traceparent,
        secret_slot=proven.slot or 0,
        received_at=request.received_at,
        status="parked",
        error_code="malformed",
        error=error.detail,
    )


def _answer(
    row: DeliveryRow, *, adapter: VendorAdapter, envelope: Envelope, is_new: bool
) -> Admitted:
    outcome = "accepted" if is_new else "duplicate"
    _deliveries(adapter.slug, outcome).inc()
    delivery_id = str(row.public_id)
    # A duplicate is answered like the original: an ignored one stays ignored.
    said = "ignored" if envelope.ignored is not None else outcome
    extras = adapter.answer_extras(
        status=adapter.accepted_status,
        delivery_id=delivery_id,
        account_id=row.account_id,
    )
    return Admitted(
        status=200 if envelope.ignored is not None else adapter.accepted_status,
        payload={"status": said, "id": delivery_id, **extras},
    )


def _kept(request: InboundRequest, *, adapter: VendorAdapter) -> dict[str, str]:
    """Return the headers worth keeping; never one that carries a credential."""
    wanted = {name.lower() for name in (*_KEPT_HEADERS, *adapter.kept_headers)}
    return {
        name: value[:_KEPT_VALUE] for name, value in request.headers if name in wanted
    }

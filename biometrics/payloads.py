"""Step 4 for deliveries that hold an address: the payload becomes one of its own.

Only the payload says whose it is, and what is a person's goes the way of that person's
deliveries: in order, revealed, erased and replayed like any other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import aiohttp
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from biometrics import deliveries
from biometrics.connections.downloads import check_address, download, open_downloads
from biometrics.connections.guard import Guard
from biometrics.deliveries import PROCESSED, Disposition
from biometrics.errors import (
    MalformedPayloadError,
    UnknownVendorError,
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.intake.rows import payload_id, payload_key
from biometrics.items import Item
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus
from biometrics.shards import shard_of
from biometrics.vendors.base import Envelope, InboundRequest
from biometrics.vendors.payloads import PayloadAddress
from biometrics.vendors.registry import get_adapter

# Payloads may be large: so many are in memory at once.
AT_ONCE = 4
# No further ones are begun after that, so that a batch stays well within its lease.
SECONDS = 10.0
_FIRST_WAIT_S = 5.0
_jitter = random.SystemRandom()
_ADVICE = (
    "Have the vendor send it again, or fetch the days with manage.py backfill; to have"
    " data sent instead of addresses, turn off the ping mode in the vendor's dashboard."
)
_DUE = frozenset({DeliveryStatus.PENDING, DeliveryStatus.RETRYING})


def fetch(items: Sequence[Item], *, now: Callable[[], datetime]) -> None:
    """Fetch what these announce and decide each; at most AT_ONCE of them.

    Must be called outside of any transaction and event loop.
    """
    _notice_known(items)
    left = [item for item in items if item.disposition is None]
    if left:
        asyncio.run(_fetch_all(left, now=now))


def settle(items: Sequence[Item]) -> set[int]:
    """Store what was fetched and strike out addresses; return shards with new work.

    To be called in the transaction that notes the ends of the items. What was parked
    after its payload had come has none.
    """
    announced = [
        item
        for item in items
        if item.is_payload_announced and item.disposition is not None
    ]
    if not announced:
        return set()
    taken = [item for item in announced if item.disposition == PROCESSED]
    fetched = [item.payload for item in taken if item.payload is not None]
    WebhookDelivery.objects.bulk_create(fetched, ignore_conflicts=True)
    shards = {row.shard for row in fetched if row.status in _DUE}
    # Fetched before: to replay the announcement is to replay what it announced.
    known = [_public_id(item.delivery) for item in taken if item.payload is None]
    if known:
        rows = WebhookDelivery.objects.filter(public_id__in=known, body__isnull=False)
        shards |= deliveries.make_due(rows)
    WebhookDelivery.objects.bulk_update(
        [
            WebhookDelivery(id=item.delivery.id, body=shown_body(item.delivery))
            for item in announced
            if item.disposition is not None and item.disposition.status not in _DUE
        ],
        ["body"],
        batch_size=100,
    )
    return shards


def shown_body(delivery: WebhookDelivery) -> bytes | None:
    """Return a delivery's bytes as anybody may see them."""
    try:
        source = get_adapter(delivery.vendor).payloads
    except UnknownVendorError:
        source = None
    is_secret = source is not None and source.event_type == delivery.event_type
    if source is None or delivery.body is None or not is_secret:
        return None if delivery.body is None else bytes(delivery.body)
    return source.struck_out(bytes(delivery.body))


def _public_id(delivery: WebhookDelivery) -> UUID:
    return payload_id(vendor=delivery.vendor, announcement=delivery.public_id)


def _notice_known(items: Sequence[Item]) -> None:
    """Note of which of these the payload is here already."""
    rows = WebhookDelivery.objects.filter(
        public_id__in=[_public_id(item.delivery) for item in items]
    )
    known = set(rows.values_list("public_id", flat=True))
    for item in items:
        if _public_id(item.delivery) in known:
            item.disposition = PROCESSED


async def _fetch_all(items: Sequence[Item], *, now: Callable[[], datetime]) -> None:
    async with open_downloads() as http:

        async def one(item: Item) -> None:
            try:
                with item.followed():
                    item.disposition = await _fetch(item, http=http, now=now)
            # The task's time is up, which is nobody's fault.
            except SoftTimeLimitExceeded:
                raise
            # Whatever else it is, it is the fault of this delivery alone.
            except Exception as error:  # noqa: BLE001
                message = f"Fetching its payload failed ({type(error).__name__})."
                item.disposition = _parked("adapter_failed", message)

        await asyncio.gather(*(one(item) for item in items))


async def _fetch(
    item: Item, *, http: aiohttp.ClientSession, now: Callable[[], datetime]
) -> Disposition:
    adapter, delivery = item.adapter, item.delivery
    source, spec = adapter.payloads, adapter.api
    assert source is not None
    assert spec is not None
    slug = adapter.slug
    hosts = settings.AUREN_VENDORS.get(slug, {}).get("payload_hosts") or source.hosts
    try:
        address = source.address_in(
            item.stored.body, received_at=item.stored.received_at
        )
        if now() >= address.expires_at:
            message = "The address in url ran out (expires_in) before it was fetched."
            return _parked("payload_expired", message)
        setting = f"AUREN_{slug.upper()}_PAYLOAD_HOSTS"
        check_address(address.url, hosts=hosts, setting=setting)
        # The limits are those of the API, and this is none of its calls.
        guard = Guard(slug=slug, spec=replace(spec, limits=()), now=now)
        limit = adapter.max_body_bytes or settings.WEBHOOK_MAX_BODY_MB * 2**20
        try:
            body = await download(address.url, http=http, guard=guard, limit=limit)
        except VendorUnavailableError as error:
            return _later(delivery, error, address=address, now=now())
        return _taken(item, body)
    except UnreadableDeliveryError as error:
        return _parked("unreadable", f"{error}.")
    except VendorRefusedError as error:
        return _parked("payload_refused", str(error))


def _taken(item: Item, body: bytes) -> Disposition:
    """Make of the payload the delivery that intake would have made of it.

    Raises UnreadableDeliveryError.
    """
    ping, adapter = item.delivery, item.adapter
    request = InboundRequest(
        method="POST",
        path="",
        headers=[(name, str(value)) for name, value in ping.headers.items()],
        query={},
        body=body,
        received_at=item.stored.received_at,
    )
    try:
        envelope = adapter.envelope(request, account_id=None)
    except MalformedPayloadError as error:
        item.payload = _payload(ping, body=body)
        _set_aside(item.payload, DeliveryStatus.PARKED, "malformed", error.detail)
        return PROCESSED
    if adapter.announces_payload(envelope.event_type):
        raise UnreadableDeliveryError("announces another payload", field="type")
    item.payload = _payload(ping, body=body, envelope=envelope)
    if envelope.ignored is not None:
        why = envelope.ignored
        _set_aside(item.payload, DeliveryStatus.IGNORED, "ignored", why)
    return PROCESSED


def _payload(
    ping: WebhookDelivery, *, body: bytes, envelope: Envelope | None = None
) -> WebhookDelivery:
    account = "" if envelope is None else envelope.account_id
    return WebhookDelivery(
        public_id=_public_id(ping),
        vendor=ping.vendor,
        account_id=account,
        reference="" if envelope is None else envelope.reference or "",
        event_type="" if envelope is None else envelope.event_type[:80],
        dedupe_key=payload_key(account_id=account, announcement=ping.public_id),
        shard=shard_of(ping.vendor, account),
        # Intake counted the announcement; what we fetched is counted apart.
        origin=DeliveryOrigin.RECOVERED,
        body=body,
        headers=ping.headers,
        traceparent=ping.traceparent,
        trace=ping.trace,
        received_at=ping.received_at,
    )


def _set_aside(
    row: WebhookDelivery, status: DeliveryStatus, code: str, error: str
) -> None:
    row.status, row.error_code, row.error = status, code, error[:500]


def _later(
    delivery: WebhookDelivery,
    error: VendorUnavailableError,
    *,
    address: PayloadAddress,
    now: datetime,
) -> Disposition:
    wait = max(
        error.retry_after or 0.0, _FIRST_WAIT_S * 2 ** min(delivery.attempts, 10)
    )
    wait *= _jitter.uniform(1.0, 1.25)
    # Once more at its end, which then says that it was too late.
    at = min(now + timedelta(seconds=wait), address.expires_at)
    return Disposition(
        status=DeliveryStatus.RETRYING,
        code="vendor_unavailable",
        error=f"{error} It is tried again by itself until its address runs out.",
        next_attempt_at=at,
    )


def _parked(code: str, error: str) -> Disposition:
    return Disposition(
        status=DeliveryStatus.PARKED, code=code, error=f"{error} {_ADVICE}"
    )

"""What an address led to, as a row among the deliveries."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models.expressions import RawSQL

from biometrics import deliveries
from biometrics.deliveries import PROCESSED
from biometrics.errors import (
    MalformedPayloadError,
    UnknownVendorError,
    UnreadableDeliveryError,
)
from biometrics.intake import large
from biometrics.intake.rows import payload_id, payload_key
from biometrics.items import Item
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus
from biometrics.shards import shard_of
from biometrics.vendors.payloads import Payloads
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import Envelope, InboundRequest

_DUE = frozenset({DeliveryStatus.PENDING, DeliveryStatus.RETRYING})


def id_of(delivery: WebhookDelivery) -> UUID:
    """Return the id of the delivery to which an announcement leads."""
    return payload_id(vendor=delivery.vendor, announcement=delivery.public_id)


def payload_of(item: Item, body: bytes) -> WebhookDelivery:
    """Return the delivery that intake would have made of a payload.

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
        row = _row(ping, body=body)
        _set_aside(row, DeliveryStatus.PARKED, "malformed", error.detail)
        return row
    if adapter.announces_payload(envelope.event_type):
        raise UnreadableDeliveryError("announces another payload", field="type")
    row = _row(ping, body=body, envelope=envelope)
    if envelope.ignored is not None:
        _set_aside(row, DeliveryStatus.IGNORED, "ignored", envelope.ignored)
    return row


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
    _insert(fetched)
    shards = {row.shard for row in fetched if row.status in _DUE}
    # Fetched before: to replay the announcement is to replay what it announced.
    known = [id_of(item.delivery) for item in taken if item.payload is None]
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


def is_announcement(delivery: WebhookDelivery) -> bool:
    """Say whether a stored delivery holds an address in place of data."""
    return _source(delivery) is not None


def shown_body(delivery: WebhookDelivery) -> bytes | None:
    """Return a delivery's bytes as anybody may see them."""
    if delivery.body is None:
        return None
    source, body = _source(delivery), bytes(delivery.body)
    return body if source is None else source.struck_out(body)


def _source(delivery: WebhookDelivery) -> Payloads | None:
    try:
        adapter = get_adapter(delivery.vendor)
    except UnknownVendorError:
        return None
    announces = adapter.announces_payload(delivery.event_type)
    return adapter.payloads if announces else None


def _row(
    ping: WebhookDelivery, *, body: bytes, envelope: Envelope | None = None
) -> WebhookDelivery:
    account = "" if envelope is None else envelope.account_id
    return WebhookDelivery(
        public_id=id_of(ping),
        vendor=ping.vendor,
        account_id=account,
        reference="" if envelope is None else envelope.reference or "",
        event_type="" if envelope is None else envelope.event_type[:80],
        dedupe_key=payload_key(account_id=account, announcement=ping.public_id),
        shard=shard_of(ping.vendor, account),
        origin=DeliveryOrigin.ANNOUNCED,
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


def _insert(rows: Sequence[WebhookDelivery]) -> None:
    """Store those that are not here yet; large bodies in pieces, where that helps."""
    whole = []
    for row in rows:
        body = b"" if row.body is None else row.body
        assert isinstance(body, bytes), "it has just been fetched"
        if connection.vendor != "postgresql" or len(body) <= large.LARGE_BODY:
            whole.append(row)
            continue
        with connection.cursor() as cursor:
            large.copy(cursor, body)
        copied = copy.copy(row)
        copied.body = RawSQL(large.BODY, ())  # noqa: S611 - it takes nothing in
        WebhookDelivery.objects.bulk_create([copied], ignore_conflicts=True)
    WebhookDelivery.objects.bulk_create(whole, ignore_conflicts=True)

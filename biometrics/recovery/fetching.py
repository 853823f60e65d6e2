"""Listing what a connection's vendor has, and keeping what is news to us.

News is stored as raw deliveries that take the ordinary way, so they are ruled on once
more there: whatever a webhook brings meanwhile, nothing is published twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time

from biometrics import nudges
from biometrics.connections import grants
from biometrics.connections.registry import Account
from biometrics.errors import BiometricsError, VendorRefusedError
from biometrics.intake.rows import public_id
from biometrics.items import Item, open_item
from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.models.intake import DeliveryOrigin
from biometrics.normalise import listed as listing
from biometrics.normalise import revisions
from biometrics.recovery import asking
from biometrics.shards import shard_of
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.listing import Listed, Window
from biometrics.vendors.records import Record


@dataclass(slots=True, kw_only=True)
class Found:
    """What listing gave, by data type: `seen` documents or days, of which `new` changed.

    `newest` is, by stream, the latest moment that a record speaks of.
    """

    seen: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    errors: dict[str, BiometricsError] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)


def fetch(
    connection: VendorConnection,
    *,
    adapter: VendorAdapter,
    windows: Mapping[str, Window],
    origin: DeliveryOrigin,
    now: Callable[[], datetime],
    is_dry: bool = False,
) -> Found:
    """List the data types in their windows and store what is news, unless `is_dry`.

    A grant that proves to be gone marks the connection, unless the person consented
    meanwhile. Must be called outside of any
    transaction and event loop.
    """
    found, asked_with = Found(), grants.stored_of(connection)

    def take(part: Sequence[Listed]) -> None:
        news = _news(part, connection=connection, origin=origin, found=found)
        if not is_dry:
            store(news)

    found.errors = asking.ask(
        connection, adapter=adapter, windows=windows, take=take, now=now
    )
    for error in found.errors.values():
        if isinstance(error, VendorRefusedError) and error.permanent:
            grants.mark_needs_reconnect(stored=asked_with, reason=str(error))
    return found


def moment_of(record: Record) -> datetime | None:
    """Return the latest moment that a record speaks of, aware; a day is its UTC midnight."""
    if record.end is not None or record.start is not None:
        return record.end or record.start
    day = record.local_date
    return None if day is None else datetime.combine(day, time(), tzinfo=UTC)


def _news(
    part: Sequence[Listed],
    *,
    connection: VendorConnection,
    origin: DeliveryOrigin,
    found: Found,
) -> list[WebhookDelivery]:
    """Return a delivery for each of these that says what is not known yet."""
    items = [_item(one, connection=connection, origin=origin) for one in part]
    claims = [claim for item in items for claim in item.claims()]
    rulings = revisions.compare(claims).new
    changing = {id(ruling.claim.delivery) for ruling in rulings}
    news = []
    for one, item in zip(part, items, strict=True):
        found.seen[one.data_type] += 1
        _note_newest(item, found=found)
        is_unreadable = not (item.understood and item.understood.statements)
        if is_unreadable or id(item.delivery) in changing:
            found.new[one.data_type] += 1
            # What cannot be read is kept once.
            delivery = item.delivery
            news.append(_keyed(delivery, when="") if is_unreadable else delivery)
    return news


def _item(one: Listed, *, connection: VendorConnection, origin: DeliveryOrigin) -> Item:
    delivery = delivery_of(
        listing.pack(one),
        account=(connection.vendor, connection.account_id),
        origin=origin,
        event_type=listing.event_type(one),
        # As a webhook's documents are: what is known was known then.
        at=one.fetched_at,
    )
    item = open_item(delivery, documents=None)
    item.connection = connection
    if item.disposition is None:
        item.understood = item.read()
    return item


def _note_newest(item: Item, *, found: Found) -> None:
    for statement in item.understood.statements if item.understood else ():
        record = statement.record
        moment = None if record.action == "deleted" else moment_of(record)
        if moment is not None:
            name = item.adapter.stream_of(
                record.record_type, record_id=record.record_id
            )
            found.newest[name] = max(found.newest.get(name, moment), moment)


def delivery_of(
    body: bytes,
    *,
    account: Account,
    origin: DeliveryOrigin,
    event_type: str,
    at: datetime,
    reference: str = "",
) -> WebhookDelivery:
    """Return an unsaved delivery that nobody sent, with an identity of its own.

    The same content may be news a second time, after the vendor had changed it back and
    forth.
    """
    delivery = WebhookDelivery(
        vendor=account[0],
        account_id=account[1],
        reference=reference,
        event_type=event_type[:80],
        shard=shard_of(*account),
        origin=origin,
        body=body,
        received_at=at,
    )
    return _keyed(delivery, when=at.isoformat())


def _keyed(delivery: WebhookDelivery, *, when: str) -> WebhookDelivery:
    digest = hashlib.sha256(delivery.body or b"").hexdigest()
    key = f"{delivery.account_id}|{delivery.event_type}|{when}|{digest}"
    delivery.dedupe_key = key
    delivery.public_id = public_id(vendor=delivery.vendor, dedupe_key=key)
    return delivery


def store(news: Sequence[WebhookDelivery]) -> None:
    """Keep these deliveries, each once, and have them worked on."""
    if not news:
        return
    WebhookDelivery.objects.bulk_create(news, ignore_conflicts=True)
    nudges.nudge_processing({delivery.shard for delivery in news})

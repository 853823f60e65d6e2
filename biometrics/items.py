"""One delivery on its way through the steps: what is known of it so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from django.conf import settings
from django.db import DatabaseError

from biometrics import bearings
from biometrics.connections.changes import Applied
from biometrics.connections.grants import StoredTokens, stored_of
from biometrics.connections.people import Directory, Party
from biometrics.connections.registry import Account
from biometrics.deliveries import KILLS_TO_PARK, Disposition
from biometrics.enrich import Wanted
from biometrics.errors import UnknownVendorError
from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.normalise import listed
from biometrics.normalise.revisions import Claim
from biometrics.normalise.understanding import Understood, understand
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import ApiResponse, StoredDelivery


@dataclass(slots=True, kw_only=True)
class Item:
    """A delivery in hand. With a `disposition` its fate is decided, whatever it says.

    `asked_with` are the tokens that enrichment had, `needs_reconnect` why they are worth
    nothing. `fetched` is what enrichment brought in this run and is not stored yet.
    """

    delivery: WebhookDelivery
    stored: StoredDelivery
    vendor_adapter: VendorAdapter | None
    is_to_fetch: bool = False
    disposition: Disposition | None = None
    asked_with: StoredTokens | None = None
    needs_reconnect: str = ""
    fetched: Sequence[ApiResponse] = ()
    # What its address led to, not stored yet.
    payload: WebhookDelivery | None = None
    understood: Understood | None = None
    connection: VendorConnection | None = None
    is_new_connection: bool = False
    applied: list[tuple[int, Applied]] = field(default_factory=list)
    was_retried: bool = False

    @property
    def account(self) -> Account:
        return (self.delivery.vendor, self.delivery.account_id)

    @property
    def adapter(self) -> VendorAdapter:
        assert self.vendor_adapter is not None  # an unknown vendor was parked at once
        return self.vendor_adapter

    @property
    def is_payload_announced(self) -> bool:
        """Say whether it holds an address in place of data."""
        return (
            self.vendor_adapter is not None
            and not self.stored.is_listed
            and self.vendor_adapter.announces_payload(self.delivery.event_type)
        )

    def followed(self) -> bearings.following:
        """Have what is logged meanwhile name this delivery."""
        return bearings.working_on(
            delivery=self.delivery.public_id, traceparent=self.delivery.traceparent
        )

    def read(self) -> Understood:
        """Return what it says; a fault becomes a parked disposition."""
        with self.followed():
            return understand(self.stored, adapter=self.adapter)

    def wanted(self, connection: VendorConnection) -> Wanted:
        """Return what enrichment needs to know, and note what it asks with."""
        self.asked_with = stored_of(connection)
        return Wanted(
            delivery=self.delivery,
            stored=self.stored,
            adapter=self.adapter,
            connection=connection,
        )

    def add_documents(self, documents: Sequence[ApiResponse]) -> None:
        """Take in what was fetched."""
        self.fetched = tuple(documents)
        self.stored = stored_delivery(self.delivery, documents=self.fetched)

    def party(self) -> Party:
        """Return the account as those who know people want it.

        Only data or a new consent makes a stranger a person: the end of a connection
        that we never knew does not.
        """
        said = self.understood
        joins = said is not None and (
            bool(said.statements)
            or any(c.change in {"connected", "relinked"} for c in said.changes)
        )
        may_join = joins and self.adapter.auto_provision
        return Party(
            vendor=self.delivery.vendor,
            account_id=self.delivery.account_id,
            reference=self.delivery.reference,
            may_join=may_join and settings.AUTO_PROVISION_SUBJECTS,
        )

    def admit(self, directory: Directory) -> None:
        """Take note of the connection; without one the fate is decided."""
        self.applied.clear()
        self.connection = directory.connections.get(self.account)
        self.is_new_connection = self.account in directory.created
        said = self.understood
        if self.connection is not None or said is None:
            return
        if said.statements or self.account in directory.erased:
            self.disposition = stranded(self, erased=directory.erased)
        elif said.changes:
            self.disposition = Disposition(
                status=DeliveryStatus.IGNORED,
                code="unknown_account",
                error="It speaks of an account that was never connected.",
            )

    def claims(self) -> Iterator[Claim]:
        """Return what the delivery states about its person."""
        if self.disposition is not None or self.understood is None:
            return
        for statement in self.understood.statements:
            assert self.connection is not None  # else the disposition says so
            yield Claim(
                statement=statement,
                delivery=self.delivery,
                adapter=self.adapter,
                connection=self.connection,
            )

    @property
    def is_unfinished(self) -> bool:
        """Say whether what was announced is to be fetched again later."""
        return (
            self.disposition is None
            and self.understood is not None
            and self.understood.is_unfinished
            and self.adapter.notifies_only
            and not self.stored.is_listed
        )

    def park(self, error: Exception) -> None:
        """Give up on what the database or our own code refused to store."""
        kind = type(error).__name__
        place = _place(error)
        message = (
            f"It could not be stored ({kind}{place}). Mend the {self.delivery.vendor}"
            " mapping or the sender, then replay it."
        )
        self.disposition = Disposition(
            status=DeliveryStatus.PARKED, code="not_stored", error=message
        )


def open_item(
    delivery: WebhookDelivery, *, documents: Sequence[ApiResponse] | None
) -> Item:
    """Return the delivery as an item; what cannot be worked on is decided at once."""
    item = Item(
        delivery=delivery,
        stored=stored_delivery(delivery, documents=documents or ()),
        vendor_adapter=_adapter(delivery.vendor),
    )
    item.disposition = _hopeless(item)
    if item.disposition is None:
        announces = item.adapter.notifies_only and not item.stored.is_listed
        item.is_to_fetch = item.is_payload_announced or (
            announces and documents is None
        )
    return item


def stored_delivery(
    delivery: WebhookDelivery, *, documents: Sequence[ApiResponse]
) -> StoredDelivery:
    """Return the delivery as adapters see it."""
    if delivery.body is not None:
        # In place of what the driver gave: tens of megabytes are not held twice.
        delivery.body = bytes(delivery.body)
    return StoredDelivery(
        vendor=delivery.vendor,
        account_id=delivery.account_id,
        event_type=delivery.event_type,
        headers=delivery.headers,
        body=delivery.body or b"",
        received_at=delivery.received_at.astimezone(UTC),
        documents=tuple(documents),
        is_listed=listed.is_listed(delivery),
    )


def ending_of(item: Item) -> Disposition:
    """Return what becomes of the delivery once everything is stored."""
    if item.disposition is not None:
        return item.disposition
    assert item.understood is not None  # what was not decided was read
    return item.understood.disposition


def stranded(item: Item, *, erased: Collection[Account]) -> Disposition:
    """Return what becomes of a delivery whose account is not connected."""
    if item.account in erased:
        return Disposition(
            status=DeliveryStatus.ERASED,
            code="erased",
            error="The person of this account was erased.",
        )
    if not item.delivery.account_id:
        return Disposition(
            status=DeliveryStatus.PARKED,
            code="no_account",
            error="It names no account, so nobody can be found to whom it belongs.",
        )
    return Disposition(
        status=DeliveryStatus.UNLINKED,
        code="unlinked",
        error="Its account is not connected: connect it and it goes on by itself.",
    )


def _adapter(vendor: str) -> VendorAdapter | None:
    try:
        return get_adapter(vendor)
    except UnknownVendorError:
        return None


def _hopeless(item: Item) -> Disposition | None:
    delivery = item.delivery
    if item.vendor_adapter is None:
        message = f"No adapter is registered for {delivery.vendor!r}."
        return _parked("unknown_vendor", message)
    if delivery.body is None:
        message = "Its bytes were dropped after RAW_RETENTION_DAYS."
        return _parked("body_gone", message)
    if delivery.unfinished >= KILLS_TO_PARK:
        message = (
            f"The worker died {delivery.unfinished} times while at it, or ran out of time."
            " Look at the workers' logs and memory before you replay it."
        )
        return _parked("worker_killed", message)
    return None


def _parked(code: str, error: str) -> Disposition:
    return Disposition(status=DeliveryStatus.PARKED, code=code, error=error)


def _place(error: Exception) -> str:
    """Return the table, column or constraint that refused, never a value."""
    if not isinstance(error, DatabaseError):
        return ""
    diagnosis = getattr(error.__cause__, "diag", None)
    names = ("table_name", "column_name", "constraint_name")
    found = [str(v) for name in names if (v := getattr(diagnosis, name, None))]
    return f" at {', '.join(found)}" if found else ""

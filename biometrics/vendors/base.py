"""What every vendor adapter is, takes and gives.

An adapter knows one vendor's wire and nothing else: no framework, no database, no clock,
no settings. Everything that it needs comes as an argument, everything that it learns goes
out as one of the frozen types of `wire`, `records` and `listing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from biometrics.vendors.api_spec import ApiSpec
from biometrics.vendors.coverage import Covered
from biometrics.vendors.listing import Listing
from biometrics.vendors.night_pieces import NightPieces
from biometrics.vendors.payloads import Payloads
from biometrics.vendors.records import JsonScalar, Understanding
from biometrics.vendors.roster import Roster
from biometrics.vendors.subscriptions import Subscribing
from biometrics.vendors.wire import (
    MIB,
    ApiResponse,
    Credentials,
    Envelope,
    Handshake,
    InboundRequest,
    StoredDelivery,
    VendorApi,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRoutes:
    """Where an app on a phone gets, renews and ends its tokens (Django route syntax).

    `issue` holds `<str:user_id>`. The application's id and secret are
    AUREN_<SLUG>_CLIENT_ID and _CLIENT_SECRET.
    """

    issue: str
    refresh: str
    revoke: str


class VendorAdapter:
    """One vendor. Subclasses are stateless; one instance serves the whole process."""

    slug: ClassVar[str]
    title: ClassVar[str]
    topic: ClassVar[str] = "biometric-events"
    mapping_version: ClassVar[int] = 1
    event_types: ClassVar[frozenset[str]]
    # Notify-only vendors send ids; their documents are fetched before normalising.
    notifies_only: ClassVar[bool] = False
    # Vendors that may send the address of a payload in its place.
    payloads: ClassVar[Payloads | None] = None
    # What its tables map, for docs/vendors.md.
    coverage: ClassVar[tuple[Covered, ...]] = ()
    # Needed by vendors that only notify.
    api: ClassVar[ApiSpec | None] = None
    # Vendors whose data can be listed for a span of time.
    listing: ClassVar[Listing | None] = None
    # Vendors that tell which accounts the application has there.
    roster: ClassVar[Roster | None] = None
    # Vendors whose records do not tell a night by themselves.
    night_pieces: ClassVar[NightPieces | None] = None
    # Record types whose ids begin with the name of what falls silent by itself, and a
    # colon; of all others the whole type does.
    id_streams: ClassVar[frozenset[str]] = frozenset()
    # Vendors that tell us only what the application subscribed to.
    subscriptions: ClassVar[Subscribing | None] = None
    # Who proves the sender: a shared signing secret, or a token bound to one person.
    personal_tokens: ClassVar[bool] = False
    # Senders that get short tokens of their own, beside those that staff hand out.
    token_routes: ClassVar[TokenRoutes | None] = None
    # What to type where, for senders with a personal token: {url}, {user}, {token}.
    sender_setup: ClassVar[tuple[tuple[str, str], ...]] = ()
    auto_provision: ClassVar[bool] = False
    max_body_bytes: ClassVar[int | None] = MIB
    accepted_status: ClassVar[int] = 200
    default_tolerance_s: ClassVar[float] = 300.0
    kept_headers: ClassVar[tuple[str, ...]] = ()
    # Names, in lower case, of all headers that a proof of the sender may be in.
    proof_headers: ClassVar[tuple[str, ...]]
    # Further paths (Django route syntax) on which this vendor's senders post.
    url_aliases: ClassVar[tuple[str, ...]] = ()

    @property
    def listed_types(self) -> Mapping[str, str]:
        """The data types that can be listed, each with its record type."""
        return {} if self.listing is None else self.listing.record_types

    def announces_payload(self, event_type: str) -> bool:
        """Say whether such a delivery holds the address of a payload."""
        return self.payloads is not None and self.payloads.event_type == event_type

    def stream_of(self, record_type: str, *, record_id: str) -> str:
        """Return the name of what falls silent by itself."""
        if record_type in self.id_streams:
            return record_id.partition(":")[0]
        return record_type

    def verify(self, request: InboundRequest, *, credentials: Credentials) -> int:
        """Return the slot of the secret that proves the sender.

        Raises SignatureError. Compares in constant time; works on the raw bytes.
        """
        raise NotImplementedError

    def presented_token(self, request: InboundRequest) -> str | None:
        """Return the personal token of the request (`personal_tokens` vendors only)."""
        raise NotImplementedError

    def handshake(
        self, request: InboundRequest, *, verification_token: str
    ) -> Handshake | None:
        """Answer a GET of the vendor, None when it has no handshake (then 405)."""
        return None

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return what intake stores beside the bytes.

        `account_id` is the owner of the personal token, None for signed vendors.
        Raises MalformedPayloadError for a body that is not this vendor's format.
        """
        raise NotImplementedError

    def answer_extras(
        self, *, status: int, delivery_id: str, account_id: str
    ) -> Mapping[str, JsonScalar]:
        """Return further keys of the 2xx answer that this vendor's senders expect."""
        return {}

    async def fetch(
        self, delivery: StoredDelivery, api: VendorApi
    ) -> Sequence[ApiResponse]:
        """Fetch the documents that a notification announces (`notifies_only`).

        Raises VendorUnavailableError, VendorRefusedError, NotYetError.
        """
        return ()

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Turn a stored delivery into records and connection changes.

        Raises UnreadableDeliveryError naming the field; a single bad value is a Problem
        of its record instead and costs nothing else.
        """
        raise NotImplementedError

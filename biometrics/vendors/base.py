"""What every vendor adapter is, takes and gives.

An adapter knows one vendor's wire and nothing else: no framework, no database, no clock,
no settings. Everything that it needs comes as an argument, everything that it learns goes
out as one of the frozen types below.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal, Protocol

from biometrics.catalogue import Metric
from biometrics.errors import SignatureError
from biometrics.vendors.api_spec import ApiSpec
from biometrics.vendors.coverage import Covered
from biometrics.vendors.payloads import Payloads
from biometrics.vendors.subscriptions import Subscribing

MIB = 1024 * 1024

Action = Literal["created", "updated", "deleted"]
JsonScalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRequest:
    """One HTTP request as it came in. Header names are lower case, values as sent."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        """Return the value of a header that came exactly once, None when absent.

        Raises SignatureError when it came twice: which of the two was signed cannot be
        known, so neither is believed.
        """
        wanted = name.lower()
        found = [value for key, value in self.headers if key == wanted]
        if len(found) > 1:
            raise SignatureError("doubled_header", f"Header {name} was sent twice.")
        return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What proves a sender: every active secret, oldest slot first.

    `tolerance_s` is how far the signed time may lie from the receiver's, both ways.
    """

    secrets: Sequence[str]
    tolerance_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The little that intake needs to know of an authenticated body.

    `account_id` is the vendor's account, empty when the delivery is about none;
    `dedupe_key` is unique per vendor and contains the account; `reference` is the
    caller's own id of the person where the vendor echoes it; `ignored` gives the reason
    why nothing will be done with this delivery (it is still stored and answered 2xx).
    `trace` is what the vendor's support would name it by: its trace id, or else the id
    of the record that it speaks of. Staff find it by that.
    """

    account_id: str
    event_type: str
    dedupe_key: str
    reference: str | None = None
    ignored: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The answer to a vendor's check that this address is ours."""

    status: int
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """A 200 or 404 of a vendor's API; everything else is raised by the client."""

    url: str
    status: int
    body: bytes
    fetched_at: datetime


class VendorApi(Protocol):
    """Authorised calls for one connection, with time-outs, limits and breaker."""

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Return the answer to GET base + path.

        Raises VendorUnavailableError (try later) or VendorRefusedError (never).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """A delivery as it lies on disk, with what enrichment fetched for it.

    `headers` are the kept ones, names in lower case. `received_at` is aware UTC.
    `is_listed` says that no vendor sent it: the body holds what we listed ourselves.
    """

    vendor: str
    account_id: str
    event_type: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    documents: Sequence[ApiResponse] = ()
    is_listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time to be listed: `since` included, `until` not. Both are aware UTC."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Documents of a list that must be read together; mostly it is one.

    `related` are documents of other lists without which they cannot be understood.
    `fetched_at` is the start of the fetch.
    """

    data_type: str
    documents: Sequence[object]
    related: Sequence[object] = ()
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingValue:
    """One number in catalogue units. `context` says under which circumstances."""

    metric: Metric
    value: float
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Many values of one metric in time order.

    Regular series give `interval_s` and one value (or None) a step from `start`.
    Irregular ones give `offsets_s`, seconds after `start`, as long as `values`.
    """

    metric: Metric
    start: datetime
    values: Sequence[float | None]
    interval_s: float | None = None
    offsets_s: Sequence[float] | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A value that the vendor sent and that became missing; never holds the value."""

    field: str
    reason: str


# What makes a night, whoever measured it. Shorter sleeps give no comparable value, fewer
# samples no median, and nobody asleep breathes faster (the catalogue knows runners too).
SHORTEST_NIGHT_S = 3 * 3600.0
FEWEST_SAMPLES = 3
FASTEST_BREATH = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSignals:
    """What one main sleep says to the HRV engine; None is missing, nothing is imputed.

    `night` is the local calendar date of waking. `series_id` is
    kind:vendor:device class, for example RMSSD:oura:ring; series are never mixed.
    """

    series_id: str
    kind: Literal["RMSSD", "SDNN"]
    night: date
    value_ms: float | None
    rhr_bpm: float | None = None
    rr_brpm: float | None = None
    temp_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that a delivery says about one vendor record.

    `start` and `end` are aware. When the vendor gave no offset, `zone_offset` is None and
    they hold the vendor's wall time marked as UTC: `local_date` is then still right.
    `stamp` orders revisions of the same record. `attributes` are short facts that are not
    measurements (sleep type, provider, score state).
    """

    record_type: str
    record_id: str
    action: Action
    stamp: datetime
    start: datetime | None = None
    end: datetime | None = None
    zone_offset: str | None = None
    local_date: date | None = None
    readings: Sequence[ReadingValue] = ()
    series: Sequence[Series] = ()
    attributes: Mapping[str, JsonScalar] = field(default_factory=dict)
    night: NightSignals | None = None
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChange:
    """What a delivery says about the connection itself.

    `connected` begins it anew, even where it had ended; `restored` and `needs_reconnect`
    say how a connection fares that has not ended. `new_account_id` is set when the vendor gave the same person another account id.
    """

    change: Literal["connected", "restored", "revoked", "needs_reconnect", "relinked"]
    reason: str
    new_account_id: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """Everything that a delivery says.

    `is_unfinished`: the vendor stored what it announced before it had all of it, so it
    is to be fetched again later.
    """

    records: Sequence[Record] = ()
    connection_changes: Sequence[ConnectionChange] = ()
    ignored: str | None = None
    problems: Sequence[Problem] = ()
    is_unfinished: bool = False


class Listing(Protocol):
    """How one vendor's documents are listed; `record_types` is by data type."""

    record_types: Mapping[str, str]

    def documents(
        self, data_type: str, *, window: Window, api: VendorApi
    ) -> AsyncIterator[Listed]:
        """Yield everything of a data type that lies in the window.

        More may come: days are the person's, and a list by date is asked for the days
        around it. Raises VendorUnavailableError, VendorRefusedError.
        """
        ...

    def understand(self, listed: Listed) -> Understanding:
        """Turn listed documents into the records that notifications of them would give.

        Raises UnreadableDeliveryError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredNight:
    """A night made of several records; `ended` is the end of the sleep, aware.

    `zone_offset` is the sleep's own, as in a record: without one `ended` is wall time.
    """

    signals: NightSignals
    sleep_s: float
    ended: datetime
    zone_offset: str | None


class NightPieces(Protocol):
    """How a vendor's sleeps and samples, which come apart, make nights together.

    The pieces are records of type `sleep` and those whose ids begin with one of
    `id_prefixes`.
    """

    id_prefixes: Sequence[str]

    def nights(self, pieces: Sequence[Record]) -> Sequence[GatheredNight]:
        """Return the nights that the pieces make, one for each series and date.

        Depends on what the pieces say, not on how many records say it or when they
        came; of two values of one moment the one with the later stamp counts. Only what
        is in a record's published value is used.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account that the vendor has for this application; `reference` is our own id."""

    account_id: str
    reference: str
    is_active: bool


class Roster(Protocol):
    """How the accounts that an application has at a vendor are learnt."""

    def members(self, api: VendorApi) -> AsyncIterator[Member]:
        """Yield all of them.

        Raises VendorUnavailableError, VendorRefusedError, ConfigurationError.
        """
        ...


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

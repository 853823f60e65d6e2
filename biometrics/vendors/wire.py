"""What goes over the wire between a vendor and the bridge, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from biometrics.errors import SignatureError

MIB = 1024 * 1024


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

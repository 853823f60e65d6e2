"""Deliveries that hold an address instead of data. What a vendor's folder says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadAddress:
    """Where a payload lies until it `expires_at`; the address is a secret until then."""

    url: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"PayloadAddress(expires_at={self.expires_at.isoformat()})"


class Payloads(Protocol):
    """How one vendor announces payloads.

    `event_type` announces one. `hosts` are the vendor's documented ones, which
    AUREN_<SLUG>_PAYLOAD_HOSTS replaces.
    """

    event_type: str
    hosts: tuple[str, ...]

    def address_in(self, body: bytes, *, received_at: datetime) -> PayloadAddress:
        """Return the address; raises UnreadableDeliveryError."""
        ...

    def struck_out(self, body: bytes) -> bytes:
        """Return the body without what opens the address."""
        ...

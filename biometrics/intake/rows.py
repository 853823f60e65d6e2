"""What intake writes, and what a store for it promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from biometrics.errors import BiometricsError

_DELIVERIES = uuid5(NAMESPACE_URL, "urn:auren:delivery")
# What stands between the account and the announcement in the key of a payload.
PAYLOAD = "|payload|"


class RowRefusedError(BiometricsError):
    """The database refuses the content of a row; the same row will fail again."""


def public_id(*, vendor: str, dedupe_key: str) -> UUID:
    """Return the id by which everybody knows a delivery: the same key, the same id."""
    return uuid5(_DELIVERIES, f"{vendor}\n{dedupe_key}")


def payload_id(*, vendor: str, announcement: UUID) -> UUID:
    """Return the id of the delivery to which an announcement leads, whosever it is."""
    return public_id(vendor=vendor, dedupe_key=f"payload|{announcement}")


def payload_key(*, account_id: str, announcement: UUID) -> str:
    """Return the dedupe key of what an announcement leads to."""
    return f"{account_id}{PAYLOAD}{announcement}"


def announcement_in(dedupe_key: str) -> UUID | None:
    """Return which announcement a payload's key names; the key alone proves nothing."""
    _, mark, name = dedupe_key.rpartition(PAYLOAD)
    try:
        return UUID(name) if mark else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One authenticated request, ready to be stored. `received_at` is aware UTC."""

    vendor: str
    account_id: str
    reference: str
    event_type: str
    dedupe_key: str
    shard: int
    body: bytes
    headers: Mapping[str, str]
    traceparent: str
    secret_slot: int
    received_at: datetime
    status: str
    error_code: str = ""
    error: str = ""
    trace: str = ""
    # What the sender is told; a duplicate has the same one.
    public_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        """Derive the id once: the writer and the answer ask for it again and again."""
        derived = public_id(vendor=self.vendor, dedupe_key=self.dedupe_key)
        object.__setattr__(self, "public_id", derived)


RejectedCounts = Counter[tuple[str, datetime]]


class IntakeStore(Protocol):
    """Where deliveries are kept. One loop owns a store; calls do not overlap."""

    async def insert(
        self, rows: Sequence[DeliveryRow], *, rejected: RejectedCounts
    ) -> list[bool]:
        """Store what is new in one transaction and count everything in the same one.

        Returns, row by row, whether it is new; the second copy within `rows` is a
        duplicate. `rejected` are requests to be counted by (vendor, minute). When this
        returns, the new rows survive a crash of the database.

        Raises StoreUnavailableError when the database is away or too slow (the outcome is
        then unknown and no row may be acknowledged), RowRefusedError when the content of
        a row is the reason.
        """
        ...

    async def insert_large(self, row: DeliveryRow) -> bool:
        """Store one big row without keeping small ones waiting; as `insert`."""
        ...

    async def account_of_token(self, sha256: str) -> str | None:
        """Return the account of a personal token, or of a phone's that has not run out.

        Raises StoreUnavailableError.
        """
        ...

    async def close(self) -> None:
        """Give up connections and threads."""
        ...

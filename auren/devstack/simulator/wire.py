"""What a simulated vendor hands out: documents to fetch and deliveries to receive."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_NAMESPACE = uuid.UUID("b2f6a3a4-0c0e-4c57-9f0e-3b8b8f6f5a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One record as the vendor's API serves it.

    `key` is the id in the path; `at` orders and selects it in lists: a calendar date or
    an ISO time.
    """

    vendor: str
    account: str
    collection: str
    key: str
    at: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRef:
    """Names a document that the vendor no longer has."""

    vendor: str
    account: str
    collection: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One HTTP request to the bridge before it is signed.

    `sender` decides signature, time-out and retries. `documents` must be fetchable, and
    `removed` gone, before it is sent.
    """

    sender: str
    account: str
    kind: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    removed: tuple[DocumentRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A delivery and when its vendor would send it.

    `essential` ones make up a history: the final state of each night and day.
    """

    at: datetime
    delivery: Delivery
    essential: bool = False


def stable_uuid(*parts: object) -> str:
    """Return the same UUID for the same parts, in every process."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))


def compact(payload: object) -> bytes:
    """Return JSON as vendors send it: no spaces, UTF-8."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def utc_ms(moment: datetime) -> str:
    """Return UTC with milliseconds and `Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

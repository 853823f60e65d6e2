"""The signature vectors: bodies, headers and the verdict that a receiver owes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_FILE = Path(__file__).with_name("signature_vectors.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """`now` is the receiver's clock; the verdict holds for a window of 300 s."""

    vendor: str
    name: str
    secret: str
    headers: dict[str, str]
    body: bytes
    now: datetime
    valid: bool


def load_vectors(vendor: str | None = None, *, file: Path = _FILE) -> list[Vector]:
    """Return all vectors of a file, or those of one vendor."""
    rows = json.loads(file.read_text(encoding="utf-8"))["vectors"]
    vectors = [
        Vector(
            vendor=row["vendor"],
            name=row["name"],
            secret=row["secret"],
            headers=row["headers"],
            body=row["body"].encode(),
            now=datetime.fromtimestamp(row["now_unix"], tz=UTC),
            valid=row["valid"],
        )
        for row in rows
    ]
    return [v for v in vectors if vendor in (None, v.vendor)]

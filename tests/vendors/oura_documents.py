"""Oura's sample documents, read by the adapter."""

from __future__ import annotations

import json
from typing import Any

from biometrics.vendors.oura.documents import build_record
from biometrics.vendors.records import Record
from tests.vendors.deliveries import NOW, fixture


def load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(fixture("oura", name))["data"]
    return rows


def read(data_type: str, document: object) -> Record:
    return build_record(
        data_type=data_type, document=document, stamp=NOW, action="updated"
    )


def official(data_type: str, **changes: Any) -> Record:
    (row,) = load(f"api_{data_type}.json")
    return read(data_type, row | changes)


def community(data_type: str) -> list[Record]:
    return [read(data_type, row) for row in load(f"community_api_{data_type}_mcp.json")]

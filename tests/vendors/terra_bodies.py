"""Terra bodies for tests, and what the adapter makes of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from biometrics.catalogue import Metric
from biometrics.vendors import terra
from biometrics.vendors.records import NightSignals, Record, Understanding
from biometrics.vendors.terra.adapter import Terra
from biometrics.vendors.wire import StoredDelivery
from tests.vendors.deliveries import NOW

USER: dict[str, Any] = {
    "user_id": "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad",
    "provider": "GARMIN",
    "reference_id": "your-user-123",
}
ACCOUNT: str = USER["user_id"]
SAMPLE: dict[str, Any] = json.loads(
    Path(terra.__file__).with_name("sample.json").read_bytes()
)

Said = dict[tuple[Metric, str | None], float]


def sleep(**changes: object) -> dict[str, Any]:
    """Return the sample night with values put at paths (a__b) of its one item."""
    body = copy.deepcopy(SAMPLE)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = body["data"][0]
        for parent in parents:
            node = node[parent]
        node[last] = value
    return body


def rmssd(*values: float, at: str = "2026-08-12T0{}:10:00+02:00") -> list[Any]:
    """Return HRV samples; their number replaces the braces in the time."""
    return [
        {"timestamp": at.format(number), "hrv_rmssd": value}
        for number, value in enumerate(values)
    ]


def understand(
    body: bytes | dict[str, Any], *, headers: dict[str, str] | None = None
) -> Understanding:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Terra().understand(
        StoredDelivery(
            vendor="terra",
            account_id=ACCOUNT,
            event_type="any",
            headers=headers or {},
            body=raw,
            received_at=NOW,
        )
    )


def only(body: bytes | dict[str, Any]) -> Record:
    (record,) = understand(body).records
    return record


def night(body: dict[str, Any]) -> NightSignals | None:
    return only(body).night


def readings(record: Record) -> Said:
    return {(r.metric, r.context): r.value for r in record.readings}

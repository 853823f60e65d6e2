"""HealthKit pushes for tests, and what the adapter makes of them."""

from __future__ import annotations

import json
from typing import Any

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit.adapter import HealthKit
from biometrics.vendors.records import Record, Understanding
from biometrics.vendors.wire import StoredDelivery
from tests.vendors.deliveries import NOW

ACCOUNT = "2b0f8a52-55c4-4a2c-9c3c-6a6a9df3f1aa"
WATCH = {"deviceType": "watch", "deviceModel": "Watch7,5"}
PHONE = {"deviceType": "phone", "deviceModel": "iPhone15,2"}

Said = dict[tuple[Metric, str | None], float]


def sync(**data: list[Any]) -> dict[str, Any]:
    """Return a push of the SDK."""
    return {"provider": "apple", "sdkVersion": "0.6.0", "data": data}


def record(
    name: str, value: object, *, at: str = "2026-08-12T01:00:00Z", **more: object
) -> dict[str, Any]:
    """Return one record of the SDK."""
    return {
        "id": f"{name}-{at}",
        "type": f"HKQuantityTypeIdentifier{name}",
        "startDate": at,
        "endDate": at,
        "source": WATCH,
        "value": value,
        "unit": "bpm",
        **more,
    }


def segment(
    stage: str, start: str, end: str, *, source: object = WATCH, **more: object
) -> dict[str, Any]:
    """Return a sleep segment of the night to 2026-08-12, times as HH:MM in UTC."""
    day = {True: "2026-08-11", False: "2026-08-12"}
    return {
        "id": f"{stage}-{start}",
        "stage": stage,
        "startDate": f"{day[start >= '18']}T{start}:00Z",
        "endDate": f"{day[end >= '18']}T{end}:00Z",
        "source": source,
        **more,
    }


def export(*metrics: dict[str, Any], **sections: object) -> dict[str, Any]:
    """Return a push of Health Auto Export."""
    return {"data": {"metrics": list(metrics), **sections}}


def metric(name: str, units: str | None, *points: object) -> dict[str, Any]:
    """Return one metric of Health Auto Export."""
    return {"name": name, "units": units, "data": list(points)}


def point(qty: object, *, at: str = "2026-08-12 01:00:00 +0200") -> dict[str, Any]:
    return {"qty": qty, "date": at, "source": "Sam's Apple Watch"}


def understand(body: bytes | dict[str, Any]) -> Understanding:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HealthKit().understand(
        StoredDelivery(
            vendor="healthkit",
            account_id=ACCOUNT,
            event_type="any",
            headers={},
            body=raw,
            received_at=NOW,
        )
    )


def only(body: bytes | dict[str, Any], *, record_type: str | None = None) -> Record:
    """Return the one record of a push, or the one of a type."""
    found = understand(body).records
    (one,) = [r for r in found if record_type in (None, r.record_type)]
    return one


def readings(said: Record) -> Said:
    return {(r.metric, r.context): r.value for r in said.readings}


def values(said: Record) -> dict[str | None, list[float | None]]:
    """Return a record's series by context."""
    return {one.context: list(one.values) for one in said.series}


def sleeps(body: bytes | dict[str, Any]) -> list[Record]:
    return [r for r in understand(body).records if r.record_type == "sleep"]

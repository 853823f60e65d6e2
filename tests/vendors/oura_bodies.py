"""Deliveries as Oura sends them, made of the fixtures."""

from __future__ import annotations

import json
from typing import Any

from tests.vendors.deliveries import Case, answer, fixture

DATA_TYPES = (
    "tag",
    "enhanced_tag",
    "workout",
    "session",
    "sleep",
    "daily_sleep",
    "daily_readiness",
    "daily_activity",
    "daily_spo2",
    "sleep_time",
    "rest_mode_period",
    "ring_configuration",
    "daily_stress",
    "daily_cardiovascular_age",
    "daily_resilience",
    "vo2_max",
)
COMMUNITY = (
    "daily_activity",
    "daily_readiness",
    "daily_sleep",
    "daily_spo2",
    "daily_stress",
    "enhanced_tag",
    "session",
    "workout",
)


def notification(**changes: Any) -> bytes:
    """Return the vendor's own sample body with some of its fields changed."""
    body = json.loads(fixture("oura", "webhook_tag_update.json")) | changes
    return json.dumps({k: v for k, v in body.items() if v is not ...}).encode()


def documents(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(fixture("oura", name))["data"]
    return rows


def _case(data_type: str, event: str, name: str, row: dict[str, Any]) -> Case:
    body = notification(data_type=data_type, event_type=event, object_id=row["id"])
    fetched = () if event == "delete" else (answer(json.dumps(row).encode()),)
    return Case(
        name=f"{data_type}.{event} {row['id']}",
        body=body,
        documents=fetched,
        fixtures=(name,),
    )


def _verbatim(name: str, *documents: bytes) -> Case:
    fetched = tuple(answer(body) for body in documents)
    return Case(
        name=name, body=fixture("oura", name), documents=fetched, fixtures=(name,)
    )


def all_cases() -> list[Case]:
    sleep, tag, score = (
        documents(f"api_{name}.json")[0] for name in ("sleep", "tag", "daily_sleep")
    )
    cases = [
        _verbatim(
            "webhook_sleep_update.json", json.dumps(sleep | {"id": "12345abc"}).encode()
        ),
        _verbatim("webhook_tag_update.json", json.dumps(tag).encode()),
        _verbatim(
            "community_webhook_daily_sleep_create.json",
            json.dumps(score | {"id": "abc-123"}).encode(),
        ),
        _verbatim("community_webhook_daily_activity_delete.json"),
        _verbatim("community_webhook_workout_update_minimal.json"),
        Case(
            name="gone meanwhile",
            body=notification(object_id="gone"),
            documents=(answer(b'{"detail": "Not Found"}', status=404),),
        ),
    ]
    for data_type in DATA_TYPES:
        name = f"api_{data_type}.json"
        row = documents(name)[0]
        cases += [
            _case(data_type, event, name, row)
            for event in ("create", "update", "delete")
        ]
    names = [(kind, f"community_api_{kind}_mcp.json") for kind in COMMUNITY]
    names += [("sleep", f"community_api_sleep_page{page}_mcp.json") for page in (1, 2)]
    for data_type, name in names:
        cases += [_case(data_type, "update", name, row) for row in documents(name)]
    return cases

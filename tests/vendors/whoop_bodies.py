"""Deliveries as WHOOP sends them, made of the fixtures."""

from __future__ import annotations

import json
from typing import Any

from tests.vendors.deliveries import Case, answer, fixture

SLEEP_ID = "550e8400-e29b-41d4-a716-446655440000"


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(fixture("whoop", name))
    return document


def notification(event_type: str = "sleep.updated", **changes: Any) -> bytes:
    """Return the vendor's own sample body with some of its fields changed."""
    body = load("webhook_sleep_updated.json") | {"type": event_type} | changes
    return json.dumps({k: v for k, v in body.items() if v is not ...}).encode()


def sleep(**changes: Any) -> dict[str, Any]:
    return load("api_sleep_by_id.json") | {"id": SLEEP_ID} | changes


def recovery(
    name: str = "api_recovery_for_cycle.json", **changes: Any
) -> dict[str, Any]:
    return load(name) | {"sleep_id": SLEEP_ID} | changes


def _case(webhook: str, *fetched: tuple[str, dict[str, Any]]) -> Case:
    names = (webhook, *(name for name, _ in fetched))
    # The vendor's samples share a trace id; real ones never do.
    body = load(webhook) | {"trace_id": " ".join(names)[:100]}
    return Case(
        name=" + ".join(names),
        body=json.dumps(body).encode(),
        documents=tuple(answer(json.dumps(row).encode()) for _, row in fetched),
        fixtures=names,
    )


def all_cases() -> list[Case]:
    cases = [
        _case("webhook_v1_sleep_updated_integer_id.json"),
        _case("webhook_v1_workout_updated_integer_id.json"),
        _case("derived_webhook_sleep_deleted.json"),
        _case("derived_webhook_workout_deleted.json"),
        _case("derived_webhook_recovery_deleted.json"),
        Case(
            name="gone meanwhile",
            body=notification(trace_id="gone"),
            documents=(answer(b"", status=404),),
        ),
    ]
    for name in (
        "api_sleep_by_id.json",
        "api_sleep_for_cycle.json",
        "derived_api_sleep_by_id_pending_score.json",
        "derived_api_sleep_by_id_unscorable.json",
    ):
        row = load(name) | {"id": SLEEP_ID}
        cases.append(_case("webhook_sleep_updated.json", (name, row)))
    for name in (
        "api_workout_by_id.json",
        "derived_api_workout_by_id_pending_score.json",
        "derived_api_workout_by_id_unscorable.json",
    ):
        row = load(name) | {"id": SLEEP_ID}
        cases.append(_case("derived_webhook_workout_updated.json", (name, row)))
    for name in (
        "api_recovery_for_cycle.json",
        "derived_api_recovery_for_cycle_pending_score.json",
        "derived_api_recovery_for_cycle_unscorable.json",
    ):
        slept = ("api_sleep_by_id.json", sleep())
        webhook = "derived_webhook_recovery_updated.json"
        cases.append(_case(webhook, slept, (name, recovery(name))))
    return cases

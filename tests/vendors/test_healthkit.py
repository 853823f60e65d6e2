"""HealthKit at the door: the contract, tokens, paths, and what the sender is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from biometrics.errors import ForbiddenAccountError, SignatureError
from biometrics.vendors.healthkit.adapter import HealthKit
from biometrics.vendors.wire import Envelope
from tests.vendors.contract import VendorContract
from tests.vendors.deliveries import Case, fixture, make_request
from tests.vendors.healthkit_bodies import (
    ACCOUNT,
    export,
    metric,
    point,
    record,
    segment,
    sync,
)

EXPORTS = (
    "hae_sleep_aggregated_phases_v6_6_2.json",
    "hae_v1_metrics_empty_metric.json",
    "hae_v1_sleep_aggregated_legacy.json",
    "hae_v1_workouts_route.json",
)
SYNCS = (
    "openwearables_sync_sample_sdk_payload.json",
    "openwearables_sync_schema_example_samsung.json",
    "openwearables_sync_test_import_duplicate_workout_skipped.json",
    "openwearables_sync_test_import_empty_payload.json",
    "openwearables_sync_test_import_workout_with_steps.json",
    "openwearables_sync_test_import_workout_without_heart_rate.json",
    "openwearables_sync_generated_week.json",
)
# What the recorded bodies lack, so that mutations reach it too.
EVERY_SHAPE = {
    "export of all shapes": export(
        metric("heart_rate", "count/min", {**point(None), "Min": 50, "Avg": 55}),
        metric("blood_pressure", "mmHg", {**point(None), "systolic": 120}),
        metric(
            "sleep_analysis",
            "hr",
            {
                "startDate": "2026-08-11 11:00:00\u202fPM +0200",
                "endDate": "2026-08-12 06:30:00 +0200",
                "qty": 7.5,
                "value": "Core",
                "source": "",
            },
        ),
        workouts=[
            {
                "id": "w-1",
                "name": "Running",
                "start": "2026-08-11 07:00:00 +0200",
                "end": "2026-08-11 07:30:00 +0200",
                "duration": 1800,
                "isIndoor": False,
                "distance": {"qty": 3.5, "units": "mi"},
                "heartRate": {"avg": {"qty": 140, "units": "bpm"}},
                "heartRateData": [{**point(None), "Min": 1, "Avg": 141, "Max": 150}],
            }
        ],
    ),
    "sync with a night": sync(
        records=[
            record("HeartRateVariabilitySDNN", 50, unit="ms", at=at)
            for at in (
                "2026-08-11T23:00:00Z",
                "2026-08-12T01:00:00Z",
                "2026-08-12T02:00:00Z",
            )
        ],
        sleep=[segment("core", "22:00", "04:00", zoneOffset="+02:00")],
    ),
}


class TestHealthKit(VendorContract):
    slug = "healthkit"
    token_owner = ACCOUNT
    unknown_type = b'{"data": {"stateOfMind": [{"valence": 0.4}]}}'

    def cases(self) -> Sequence[Case]:
        recorded = [
            Case(name=name, body=fixture("healthkit", name), fixtures=(name,))
            for name in (*EXPORTS, *SYNCS)
        ]
        made = [
            Case(name=name, body=json.dumps(body).encode())
            for name, body in EVERY_SHAPE.items()
        ]
        return [*made, *recorded]


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer s3cret")],
        [("authorization", "bearer  s3cret ")],
        [("authorization", "s3cret")],
        [("x-open-wearables-api-key", "s3cret")],
        [("api-key", "s3cret")],
        [("authorization", "Bearer s3cret"), ("api-key", "s3cret")],
        [("authorization", "Basic dXNlcjpwYXNz"), ("api-key", "s3cret")],
    ],
)
def test_the_token_is_found_wherever_the_senders_put_it(
    headers: list[tuple[str, str]],
) -> None:
    request = make_request("healthkit", headers=headers)
    assert HealthKit().presented_token(request) == "s3cret"


@pytest.mark.parametrize(
    "value", ["", " ", "Bearer", "Basic dXNlcjpwYXNz", "\ud800", "x" * 600, "a\x00b"]
)
def test_what_cannot_be_a_token_is_none(value: str) -> None:
    request = make_request("healthkit", headers=[("authorization", value)])
    assert HealthKit().presented_token(request) is None


def test_two_different_tokens_are_refused() -> None:
    headers = [("authorization", "Bearer one"), ("api-key", "other")]
    with pytest.raises(SignatureError):
        HealthKit().presented_token(make_request("healthkit", headers=headers))


def envelope(body: object, *, path: str = "/webhooks/healthkit") -> Envelope:
    request = make_request("healthkit", body=json.dumps(body).encode())
    return HealthKit().envelope(replace(request, path=path), account_id=ACCOUNT)


@pytest.mark.parametrize("end", ["", "/"])
def test_the_sdk_path_must_name_the_tokens_owner(end: str) -> None:
    own = f"/api/v1/sdk/users/{ACCOUNT}/sync{end}"
    other = f"/api/v1/sdk/users/someone-else/sync{end}"
    assert envelope(sync(records=[]), path=own).account_id == ACCOUNT
    with pytest.raises(ForbiddenAccountError):
        envelope(sync(records=[]), path=other)


def test_without_an_owner_nothing_is_taken() -> None:
    request = make_request("healthkit", body=b'{"data": {}}')
    with pytest.raises(SignatureError):
        HealthKit().envelope(request, account_id=None)


def test_the_two_senders_are_told_apart_by_the_body() -> None:
    assert envelope(sync(workouts=[])).event_type == "sync"
    assert envelope({"data": {"records": []}}).event_type == "sync"
    assert envelope(export(metric("step_count", "count"))).event_type == "export"
    assert envelope({"data": {"workouts": [{}]}}).event_type == "export"


def test_an_sdk_push_is_never_ignored_at_the_door() -> None:
    # It must get its 202 even when it holds nothing.
    assert envelope(sync()).ignored is None
    assert envelope({"data": {}}).ignored


def test_the_key_is_the_persons_bytes() -> None:
    body = export(metric("step_count", "count", point(10)))
    request = make_request("healthkit", body=json.dumps(body).encode())
    keys = {
        HealthKit().envelope(request, account_id=owner).dedupe_key
        for owner in ("person-a", "person-b")
    }
    assert len(keys) == 2
    assert envelope(body).dedupe_key == envelope(body).dedupe_key


def test_the_answer_speaks_the_sdks_language_too() -> None:
    extras = HealthKit().answer_extras(
        status=202, delivery_id="d-1", account_id=ACCOUNT
    )
    assert extras == {
        "status_code": 202,
        "response": "accepted",
        "user_id": ACCOUNT,
    }
    assert HealthKit.accepted_status == 202

"""WHOOP: who sent it, what it announces, and what is fetched for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from biometrics.errors import (
    MalformedPayloadError,
    NotYetError,
    UnreadableDeliveryError,
    VendorUnavailableError,
)
from biometrics.vendors.whoop.adapter import Whoop
from biometrics.vendors.wire import Envelope, StoredDelivery
from tests.vendors.canned_api import CannedApi
from tests.vendors.contract import VendorContract
from tests.vendors.deliveries import NOW, Case, answer, fixture, make_request
from tests.vendors.whoop_bodies import SLEEP_ID, all_cases, notification, sleep

CASES = all_cases()
SLEEP_PATH = f"/v2/activity/sleep/{SLEEP_ID}"
RECOVERY_PATH = "/v2/cycle/93845/recovery"


class TestWhoop(VendorContract):
    slug = "whoop"
    unknown_type = notification("cycle.updated")
    not_deliveries = {
        "api_activity_mapping.json": "translates ids of version 1",
        "api_body_measurement.json": "read on a schedule only",
        "api_cycle_by_id.json": "read on a schedule only",
        "api_cycle_collection.json": "a list",
        "api_profile_basic.json": "read on connecting only",
        "api_recovery_collection.json": "a list",
        "api_sleep_collection.json": "a list",
        "api_workout_collection.json": "a list",
        "oauth_token_refresh_response.json": "no document",
    }

    def cases(self) -> Sequence[Case]:
        return CASES


def test_the_declared_types_are_the_documented_ones() -> None:
    assert Whoop.event_types == {
        "workout.updated",
        "workout.deleted",
        "sleep.updated",
        "sleep.deleted",
        "recovery.updated",
        "recovery.deleted",
    }
    assert Whoop.default_tolerance_s == 300


def test_there_is_no_handshake() -> None:
    request = make_request("whoop", method="GET", query={"challenge": "x"})
    assert Whoop().handshake(request, verification_token="token") is None


# The envelope


def _envelope(body: bytes, *, timestamp: str = "1786525200000") -> Envelope:
    headers = [("x-whoop-signature-timestamp", timestamp)]
    request = make_request("whoop", body=body, headers=headers)
    return Whoop().envelope(request, account_id=None)


def test_the_envelope_of_the_vendor_sample() -> None:
    assert _envelope(fixture("whoop", "webhook_sleep_updated.json")) == Envelope(
        account_id="456",
        event_type="sleep.updated",
        dedupe_key="456|v2|e369c784-5100-49e8-8098-75d35c47b31b",
        trace="e369c784-5100-49e8-8098-75d35c47b31b",
    )


def test_a_retry_with_another_time_is_the_same_delivery() -> None:
    again = _envelope(notification(), timestamp="1786525999000")

    assert again.dedupe_key == _envelope(notification()).dedupe_key


def test_a_number_as_id_is_version_1_and_ignored() -> None:
    envelope = _envelope(fixture("whoop", "webhook_v1_sleep_updated_integer_id.json"))

    assert envelope.ignored == "a number as id: webhooks of version 1 have ended"
    # The same trace in version 2 is another delivery.
    assert envelope.dedupe_key == "456|v1|e369c784-5100-49e8-8098-75d35c47b31b"


def test_without_a_trace_time_and_bytes_tell_deliveries_apart() -> None:
    body = notification(trace_id=...)
    key = _envelope(body).dedupe_key

    assert key.startswith("456|v2|1786525200000|")
    assert key == _envelope(body).dedupe_key
    assert key != _envelope(body, timestamp="1786525200001").dedupe_key
    assert key != _envelope(body + b" ").dedupe_key


@pytest.mark.parametrize("field", ["user_id", "id", "type"])
@pytest.mark.parametrize("value", [..., None, "", 1.5, [], True, "x" * 500, "a\x00b"])
def test_without_a_required_field_it_is_malformed(field: str, value: Any) -> None:
    with pytest.raises(MalformedPayloadError, match=field):
        _envelope(notification(**{field: value}))


@pytest.mark.parametrize(
    "record_id", ["..", "../profile", "a/b", "a%2fb", "a?b", "a.b"]
)
def test_an_id_that_means_something_in_a_path_is_malformed(record_id: str) -> None:
    with pytest.raises(MalformedPayloadError, match="id"):
        _envelope(notification(id=record_id))


# Fetching


def _stored(body: bytes) -> StoredDelivery:
    return StoredDelivery(
        vendor="whoop",
        account_id="456",
        event_type="",
        headers={},
        body=body,
        received_at=NOW,
    )


def _fetch(body: bytes, answers: dict[str, bytes | None]) -> tuple[list[str], int]:
    api = CannedApi(answers=answers)
    fetched = asyncio.run(Whoop().fetch(_stored(body), api))
    assert [response.url for response in fetched] == api.asked
    return api.asked, len(fetched)


@pytest.mark.parametrize("data_type", ["sleep", "workout"])
def test_sleeps_and_workouts_are_fetched_by_id(data_type: str) -> None:
    path = f"/v2/activity/{data_type}/{SLEEP_ID}"

    assert _fetch(notification(f"{data_type}.updated"), {path: b"{}"}) == ([path], 1)


def test_a_recovery_is_found_by_way_of_its_sleep_and_cycle() -> None:
    answers: dict[str, bytes | None] = {
        SLEEP_PATH: json.dumps(sleep()).encode(),
        RECOVERY_PATH: b"{}",
    }

    asked, fetched = _fetch(notification("recovery.updated"), answers)

    assert asked == [SLEEP_PATH, RECOVERY_PATH]
    assert fetched == 2


@pytest.mark.parametrize("cycle_id", [None, "../profile", True, 1.5, {}])
def test_a_sleep_without_a_cycle_has_no_recovery_yet(cycle_id: object) -> None:
    slept = json.dumps(sleep(cycle_id=cycle_id)).encode()
    with pytest.raises(NotYetError, match="cycle_id"):
        _fetch(notification("recovery.updated"), {SLEEP_PATH: slept})


def test_a_cycle_without_a_recovery_is_asked_again_later() -> None:
    slept = json.dumps(sleep()).encode()
    with pytest.raises(NotYetError, match="no recovery yet"):
        _fetch(
            notification("recovery.updated"), {SLEEP_PATH: slept, RECOVERY_PATH: None}
        )


@pytest.mark.parametrize("data_type", ["sleep", "workout", "recovery"])
def test_what_is_gone_is_a_deletion_at_the_time_of_the_fetch(data_type: str) -> None:
    kind = "sleep" if data_type == "recovery" else data_type
    api = CannedApi(answers={f"/v2/activity/{kind}/{SLEEP_ID}": None})
    stored = _stored(notification(f"{data_type}.updated"))

    fetched = asyncio.run(Whoop().fetch(stored, api))
    (record,) = Whoop().understand(replace(stored, documents=fetched)).records

    assert (record.record_type, record.record_id) == (data_type, SLEEP_ID)
    assert (record.action, record.stamp) == ("deleted", NOW + timedelta(seconds=30))


@pytest.mark.parametrize(
    "body",
    [
        notification("sleep.deleted"),
        notification("recovery.deleted"),
        notification("cycle.updated"),
        notification(id=1234),
    ],
)
def test_nothing_is_fetched_for_deletions_and_ignored_ones(body: bytes) -> None:
    assert _fetch(body, {}) == ([], 0)


@pytest.mark.parametrize("broken", [SLEEP_PATH, RECOVERY_PATH])
def test_a_broken_answer_is_asked_for_again(broken: str) -> None:
    answers: dict[str, bytes | None] = {
        SLEEP_PATH: json.dumps(sleep()).encode(),
        RECOVERY_PATH: b"{}",
    }
    answers[broken] = b'{"cycle_id": 938'
    with pytest.raises(VendorUnavailableError, match="broken JSON"):
        _fetch(notification("recovery.updated"), answers)


@pytest.mark.parametrize("data_type", ["sleep", "workout", "recovery"])
def test_a_deletion_is_stamped_with_the_time_of_receipt(data_type: str) -> None:
    body = notification(f"{data_type}.deleted")

    (record,) = Whoop().understand(_stored(body)).records

    assert (record.record_type, record.record_id) == (data_type, SLEEP_ID)
    assert (record.action, record.stamp) == ("deleted", NOW)


def test_an_update_without_its_documents_is_unreadable() -> None:
    stored = _stored(notification("recovery.updated"))
    half = replace(stored, documents=(answer(json.dumps(sleep()).encode()),))
    for delivery, field in [(stored, "documents[0]"), (half, "documents[1]")]:
        with pytest.raises(UnreadableDeliveryError) as caught:
            Whoop().understand(delivery)
        assert caught.value.field == field

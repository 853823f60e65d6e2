"""Oura: what a notification announces, and what is fetched for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from biometrics.errors import (
    MalformedPayloadError,
    UnreadableDeliveryError,
    VendorUnavailableError,
)
from biometrics.vendors.oura.adapter import Oura
from biometrics.vendors.records import Record
from biometrics.vendors.wire import Envelope, StoredDelivery
from tests.vendors.canned_api import CannedApi
from tests.vendors.deliveries import NOW, answer, fixture, make_request
from tests.vendors.oura_bodies import DATA_TYPES, notification
from tests.vendors.said import problems, readings

# The envelope


def _envelope(body: bytes, *, timestamp: str = "1786525200000") -> Envelope:
    headers = [("x-oura-timestamp", timestamp)]
    request = make_request("oura", body=body, headers=headers)
    return Oura().envelope(request, account_id=None)


def test_the_envelope_of_the_vendor_sample() -> None:
    assert _envelope(fixture("oura", "webhook_sleep_update.json")) == Envelope(
        account_id="user123",
        event_type="sleep.update",
        dedupe_key="user123|sleep|12345abc|update|2023-01-01T08:00:00+00:00",
        trace="12345abc",
    )


def test_a_retry_with_another_time_or_layout_is_the_same_delivery() -> None:
    body = json.loads(fixture("oura", "webhook_sleep_update.json"))
    first = _envelope(json.dumps(body).encode(), timestamp="1786525200000")
    again = _envelope(json.dumps(body, indent=1).encode(), timestamp="1786525999000")

    assert first.dedupe_key == again.dedupe_key


def test_each_of_the_five_fields_makes_another_delivery() -> None:
    key = _envelope(notification()).dedupe_key
    for changes in (
        {"user_id": "another"},
        {"data_type": "workout"},
        {"object_id": "another"},
        {"event_type": "delete"},
        {"event_time": "2022-11-16T08:21:01+00:00"},
    ):
        assert _envelope(notification(**changes)).dedupe_key != key


def test_with_a_field_missing_time_and_bytes_tell_deliveries_apart() -> None:
    body = fixture("oura", "community_webhook_workout_update_minimal.json")
    envelope = _envelope(body)
    timeless = _envelope(notification(event_time=...)).dedupe_key

    assert "|1786525200000|" in timeless
    assert envelope.ignored == "no object_id, so no document is named"
    assert envelope.dedupe_key == _envelope(body).dedupe_key
    assert envelope.dedupe_key.startswith("oura-user-456|1786525200000|")
    assert envelope.dedupe_key != _envelope(body, timestamp="1786525201").dedupe_key
    assert envelope.dedupe_key != _envelope(body + b" ").dedupe_key


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data_type": "meal"}, "the API has no route for meal documents"),
        ({"data_type": "daily_mood"}, "unknown data_type daily_mood"),
        ({"data_type": "personal_info"}, "unknown data_type personal_info"),
        ({"event_type": "merge"}, "unknown event_type merge"),
    ],
)
def test_what_cannot_be_used_is_ignored(changes: dict[str, str], reason: str) -> None:
    assert _envelope(notification(**changes)).ignored == reason


@pytest.mark.parametrize("field", ["event_type", "data_type", "user_id"])
@pytest.mark.parametrize("value", [..., None, "", 1.5, [], "x" * 500, "a\x00b"])
def test_without_a_required_field_it_is_malformed(field: str, value: Any) -> None:
    with pytest.raises(MalformedPayloadError, match=field):
        _envelope(notification(**{field: value}))


PATH_TRICKS = [
    "..",
    ".",
    "../..",
    "a/b",
    "a%2fb",
    "a?b",
    "a#b",
    "a\\b",
    "a b",
    "\u2024",
]


@pytest.mark.parametrize("object_id", PATH_TRICKS)
def test_an_id_that_means_something_in_a_path_is_malformed(object_id: str) -> None:
    with pytest.raises(MalformedPayloadError, match="object_id"):
        _envelope(notification(object_id=object_id))


# Fetching


def _stored(body: bytes) -> StoredDelivery:
    return StoredDelivery(
        vendor="oura",
        account_id="user123",
        event_type="",
        headers={},
        body=body,
        received_at=NOW,
    )


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_the_document_is_fetched_by_its_id(data_type: str) -> None:
    segment = "vO2_max" if data_type == "vo2_max" else data_type
    path = f"/v2/usercollection/{segment}/2-5daccc095220%3Aa"
    api = CannedApi(answers={path: b'{"id": "2-5daccc095220:a"}'})
    body = notification(data_type=data_type, object_id="2-5daccc095220:a")

    (response,) = asyncio.run(Oura().fetch(_stored(body), api))

    assert api.asked == [path]
    assert response.body == b'{"id": "2-5daccc095220:a"}'


@pytest.mark.parametrize(
    "body",
    [
        notification(event_type="delete"),
        notification(data_type="meal"),
        fixture("oura", "community_webhook_workout_update_minimal.json"),
    ],
)
def test_nothing_is_fetched_for_deletions_and_ignored_ones(body: bytes) -> None:
    assert asyncio.run(Oura().fetch(_stored(body), CannedApi(answers={}))) == ()


def test_a_broken_answer_is_asked_for_again() -> None:
    api = CannedApi(answers={"/v2/usercollection/tag/x": b'{"id": "x", "da'})
    with pytest.raises(VendorUnavailableError, match="broken JSON"):
        asyncio.run(Oura().fetch(_stored(notification(object_id="x")), api))


def test_a_document_that_is_gone_is_a_deletion_at_the_time_of_the_fetch() -> None:
    api = CannedApi(answers={"/v2/usercollection/tag/x": None})
    stored = _stored(notification(object_id="x"))
    fetched = asyncio.run(Oura().fetch(stored, api))

    (record,) = Oura().understand(replace(stored, documents=fetched)).records

    assert (record.record_type, record.record_id) == ("tag", "x")
    assert record.action == "deleted"
    assert record.stamp == NOW + timedelta(seconds=30)


def test_a_deletion_is_stamped_with_the_time_of_receipt() -> None:
    body = notification(event_type="delete", data_type="sleep", object_id="x")

    (record,) = Oura().understand(_stored(body)).records

    assert (record.record_type, record.record_id) == ("sleep", "x")
    assert (record.action, record.stamp) == ("deleted", NOW)


def test_an_update_without_its_document_is_unreadable() -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        Oura().understand(_stored(notification()))
    assert caught.value.field == "documents[0]"


def _understood(event: str, document: dict[str, Any]) -> Record:
    body = notification(event_type=event, data_type="vo2_max", object_id="x")
    fetched = (answer(json.dumps(document).encode()),)
    (record,) = Oura().understand(replace(_stored(body), documents=fetched)).records
    return record


@pytest.mark.parametrize(
    ("event", "action"), [("create", "created"), ("update", "updated")]
)
def test_a_document_is_stamped_with_the_start_of_its_fetch(
    event: str, action: str
) -> None:
    record = _understood(event, {"id": "x", "vo2_max": 48})

    assert (record.record_type, record.record_id) == ("vo2_max", "x")
    assert (record.action, record.stamp) == (action, NOW + timedelta(seconds=30))
    assert readings(record) == {"vo2_max": 48}
    assert record.problems == ()


def test_a_document_without_an_id_bears_the_one_announced() -> None:
    record = _understood("update", {"vo2_max": 48})

    assert record.record_id == "x"
    assert record.problems == ()


def test_an_answer_about_another_document_is_reported() -> None:
    record = _understood("update", {"id": "y", "vo2_max": 48})

    assert record.record_id == "y"
    assert problems(record) == ["id"]

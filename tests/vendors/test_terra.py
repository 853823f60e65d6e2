"""Terra at the door: the contract, the signature's quirks, keys and connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from biometrics.errors import (
    MalformedPayloadError,
    SignatureError,
)
from biometrics.vendors.records import ConnectionChange
from biometrics.vendors.terra.adapter import Terra
from biometrics.vendors.wire import Credentials, Envelope
from tests import signer
from tests.vendors.contract import VendorContract
from tests.vendors.deliveries import NOW, SECRET, Case, fixture, make_request
from tests.vendors.terra_bodies import ACCOUNT, USER, understand

VERBATIM = (
    "webhook_sleep.json",
    "webhook_activity.json",
    "webhook_daily.json",
    "webhook_body.json",
    "webhook_nutrition.json",
    "webhook_menstruation.json",
    "webhook_athlete.json",
    "webhook_auth_authSuccess.json",
    "webhook_auth_authCancelled.json",
    "webhook_deauth.json",
    "webhook_access_revoked.json",
    "webhook_user_reauth.json",
    "webhook_connection_error.json",
    "webhook_permission_change.json",
    "webhook_large_request_processing.json",
    "webhook_large_request_sending.json",
    "webhook_lab_report_completed.json",
    "webhook_lab_report_failed.json",
    "assembled_webhook_sleep_full.json",
    "assembled_webhook_activity_full.json",
    "assembled_webhook_daily_full.json",
    "assembled_webhook_body_full.json",
    "assembled_webhook_nutrition_full.json",
    "assembled_webhook_menstruation_full.json",
)
SHAPES = "documented_event_shapes.json"
TRACE = "x-terra-trace-id"
ORDERING = "x-terra-ordering-timestamp"


def shapes() -> dict[str, bytes]:
    """Return the documented status events with a user where the documents say User."""
    said: dict[str, Any] = json.loads(fixture("terra", SHAPES))
    said.pop("_note")
    return {
        name: json.dumps(
            {key: USER if value == "User" else value for key, value in event.items()}
        ).encode()
        for name, event in said.items()
    }


class TestTerra(VendorContract):
    slug = "terra"
    unknown_type = b'{"type": "brain_waves", "user": {"user_id": "u-1"}, "data": [{}]}'
    not_deliveries = {
        "api_post_auth_generateAuthToken_200_Result.json": "an answer of the API",
        "webhook_s3_upload.json": "announces a download; has a test of its own",
    }

    def cases(self) -> Sequence[Case]:
        verbatim = [
            Case(
                name=name,
                body=fixture("terra", name),
                fixtures=(name,),
                headers={TRACE: f"trace-of-{name}", ORDERING: "1786525100123"},
            )
            for name in VERBATIM
        ]
        documented = [
            Case(name=name, body=body, fixtures=(SHAPES,))
            for name, body in shapes().items()
        ]
        return [*verbatim, *documented]


def signed(body: bytes = b'{"type":"healthcheck"}') -> str:
    stamp = signer.unix_seconds(NOW)
    return signer.terra(secret=SECRET, body=body, timestamp=stamp)["terra-signature"]


def verify(headers: list[tuple[str, str]]) -> int:
    request = make_request("terra", body=b'{"type":"healthcheck"}', headers=headers)
    return Terra().verify(
        request, credentials=Credentials(secrets=[SECRET], tolerance_s=300)
    )


def test_the_old_and_the_new_header_may_come_together() -> None:
    pair = [("x-terra-signature", signed()), ("terra-signature", signed())]
    assert verify(pair) == 0
    assert verify(pair[:1]) == 0
    assert verify(pair[1:]) == 0


def test_two_headers_that_differ_are_refused_even_when_one_is_genuine() -> None:
    forged = "t=1,v1=" + "0" * 64
    for headers in (
        [("x-terra-signature", signed()), ("terra-signature", forged)],
        [("x-terra-signature", forged), ("terra-signature", signed())],
    ):
        with pytest.raises(SignatureError) as caught:
            verify(headers)
        assert caught.value.reason == "doubled_header"


def test_a_second_timestamp_is_refused() -> None:
    with pytest.raises(SignatureError) as caught:
        verify([("terra-signature", f"t=1,{signed()}")])
    assert caught.value.reason == "bad_timestamp"


def envelope(
    body: dict[str, Any], *, headers: Sequence[tuple[str, str]] = ()
) -> Envelope:
    request = make_request("terra", body=json.dumps(body).encode(), headers=headers)
    return Terra().envelope(request, account_id=None)


def test_a_retry_is_recognised_by_its_trace_and_chunks_are_not_copies() -> None:
    body = {"type": "daily", "user": USER, "data": []}
    first = envelope(body, headers=[(TRACE, "abc:chunk:1"), ("terra-reference", "r")])
    again = envelope(
        {**body, "version": "later"},
        headers=[(TRACE, "abc:chunk:1"), ("terra-reference", "r")],
    )
    chunk = envelope(body, headers=[(TRACE, "abc:chunk:2"), ("terra-reference", "r")])
    assert first.dedupe_key == again.dedupe_key == f"{ACCOUNT}:abc:chunk:1"
    assert chunk.dedupe_key != first.dedupe_key
    assert (first.trace, chunk.trace) == ("abc:chunk:1", "abc:chunk:2")


@pytest.mark.parametrize("trace", ["", "x" * 2000, "line\nbreak"])
def test_without_a_usable_trace_the_bytes_are_the_key(trace: str) -> None:
    body = {"type": "daily", "user": USER, "data": []}
    key = envelope(body, headers=[(TRACE, trace)]).dedupe_key
    assert key == envelope(body).dedupe_key
    assert key.startswith(f"{ACCOUNT}:sha256:")
    assert envelope(body, headers=[(TRACE, trace)]).trace is None
    assert envelope({**body, "data": [{}]}).dedupe_key != key


def test_the_reference_is_found_in_the_user_and_in_older_places() -> None:
    person = {"user_id": "u-1", "provider": "FITBIT"}
    inside = {"type": "auth", "user": {**person, "reference_id": "r-1"}}
    on_top = {"type": "auth", "user": person, "reference_id": "r-2"}
    assert envelope(inside).reference == "r-1"
    assert envelope(on_top).reference == "r-2"
    assert envelope({"type": "auth", "user": person}).reference is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"type": "sleep", "data": []},
        {"type": "sleep", "user": {"user_id": "nul\x00byte"}, "data": []},
        {"type": "deauth", "user": None},
        {"type": ["sleep"], "user": USER},
    ],
)
def test_a_body_without_type_or_user_is_malformed(body: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayloadError):
        envelope(body)


def test_a_type_of_another_terra_product_is_ignored_not_refused() -> None:
    body = {"event_type": "order.status_changed", "event_id": "338124064228737024"}
    assert envelope(body).ignored


def change(body: bytes | dict[str, Any]) -> ConnectionChange:
    (only,) = understand(body).connection_changes
    return only


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("webhook_auth_authSuccess.json", "connected"),
        ("webhook_deauth.json", "revoked"),
        ("webhook_access_revoked.json", "revoked"),
        ("webhook_connection_error.json", "needs_reconnect"),
        ("webhook_permission_change.json", "restored"),
    ],
)
def test_connection_events_change_the_connection(name: str, kind: str) -> None:
    said = change(fixture("terra", name))
    assert said.change == kind
    assert said.reference == "your-user-123"
    assert said.new_account_id is None


def test_a_failed_authentication_leaves_no_account() -> None:
    said = change(shapes()["auth_error"])
    assert said.change == "revoked"


def test_a_removed_permission_asks_for_a_new_consent_and_is_named() -> None:
    said = change(shapes()["permission_change"])
    assert said.change == "needs_reconnect"
    assert "fitness.oxygen_saturation.read" in said.reason


def test_a_person_who_authenticates_again_keeps_the_old_account() -> None:
    body = fixture("terra", "webhook_user_reauth.json")
    request = make_request("terra", body=body)
    assert Terra().envelope(request, account_id=None).account_id == ACCOUNT
    said = change(body)
    assert said.change == "relinked"
    assert said.new_account_id == "9c8b7a65-4321-4fed-a0b9-87c6d5e4f321"


def test_without_an_old_user_the_new_one_is_simply_connected() -> None:
    body = {"type": "user_reauth", "old_user": None, "new_user": USER}
    assert envelope(body).account_id == ACCOUNT
    assert change(body).change == "connected"
    assert change(body).reference == "your-user-123"


@pytest.mark.parametrize(
    "name", ["healthcheck", "processing", "rate_limit_hit", "large_request_sending"]
)
def test_housekeeping_is_ignored_with_a_reason(name: str) -> None:
    understanding = understand(shapes()[name])
    assert understanding.ignored
    assert not understanding.connection_changes


def test_an_address_instead_of_data_is_not_dropped() -> None:
    body = fixture("terra", "webhook_s3_upload.json")
    request = make_request("terra", body=body)
    assert Terra().envelope(request, account_id=None).ignored is None
    assert Terra().announces_payload("s3_payload")


@pytest.mark.parametrize(
    ("header", "stamp"),
    [
        ("1786525100123", datetime(2026, 8, 12, 8, 58, 20, 123000, tzinfo=UTC)),
        (None, NOW),
        ("", NOW),
        ("soon", NOW),
        ("-5", NOW),
        ("1786525100", NOW),
        ("999999999999999", NOW),
        (str(int((NOW + timedelta(hours=1)).timestamp() * 1000)), NOW),
    ],
)
def test_the_stamp_is_when_terra_made_it(header: str | None, stamp: datetime) -> None:
    headers = {} if header is None else {ORDERING: header}
    body = fixture("terra", "webhook_daily.json")
    (record,) = understand(body, headers=headers).records
    assert record.stamp == stamp

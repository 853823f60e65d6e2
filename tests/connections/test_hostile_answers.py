"""Whatever vendors answer about grants and accounts: refused in words, or storable."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biometrics.connections import oauth
from biometrics.connections.answers import error_of
from biometrics.connections.grants import NewTokens
from biometrics.connections.token_answers import read_tokens, refusal_of
from biometrics.errors import (
    UnreadableDeliveryError,
    VendorError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection, VendorSubscription
from biometrics.vendors.oura.subscriptions import OuraSubscribing
from biometrics.vendors.roster import Member
from biometrics.vendors.subscriptions import Subscription
from biometrics.vendors.terra.roster import TerraRoster
from biometrics.vendors.terra.widget import TerraWidget
from biometrics.vendors.wire import ApiResponse
from tests.vendors.mutations import mutated

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SETTINGS = settings(deadline=None, max_examples=400)
VISIBLE = set(string.ascii_letters + string.digits + string.punctuation)

TOKENS = json.dumps(
    {
        "access_token": "access-1",
        "refresh_token": "refresh-1",
        "expires_in": 3600,
        "scope": "read:sleep offline",
        "token_type": "bearer",
    }
).encode()
REFUSAL = json.dumps({"error": "invalid_grant", "error_description": "used"}).encode()
PROFILES = {
    "id": json.dumps({"id": "ring-1", "age": 40, "email": None}).encode(),
    "user_id": json.dumps({"user_id": 4711, "first_name": "Robin"}).encode(),
}
SUBSCRIPTION: Mapping[str, Any] = {
    "id": "8f9a5221-639e-4a85-81cb-4065ef23f979",
    "callback_url": "https://bridge.example.org/webhooks/oura",
    "event_type": "create",
    "data_type": "sleep",
    "expiration_time": "2027-02-20T10:00:00.000000+00:00",
}
USER = {
    "user_id": "terra-1",
    "provider": "GARMIN",
    "reference_id": "0d5c2c1e-6f0b-4d43-9f0e-3f4a7f0f3d11",
    "scopes": "ACTIVITY_EXPORT,HEALTH_EXPORT",
    "active": True,
}
ROSTER = json.dumps({"status": "success", "users": [USER, USER]}).encode()
WIDGET = json.dumps(
    {"status": "success", "session_id": "s", "url": "https://widget.example.org/s"}
).encode()


def width(model: Any, name: str) -> int:
    limit = model._meta.get_field(name).max_length
    assert isinstance(limit, int)
    return limit


def is_kept(text: str, model: Any, name: str) -> bool:
    """Say whether a database takes a text into a column as it is."""
    return len(text) <= width(model, name) and text.isprintable()


def check_tokens(new: NewTokens) -> None:
    assert new.access_token
    assert set(new.access_token) <= VISIBLE
    assert new.refresh_token is None or set(new.refresh_token) <= VISIBLE
    assert is_kept(new.scopes, VendorConnection, "scopes")
    if new.expires_at is not None:
        assert NOW < new.expires_at <= NOW + timedelta(days=366)


@SETTINGS
@given(body=mutated(TOKENS))
@example(body=b"[]")
@example(body=b'{"access_token": "a", "expires_in": 1e300, "scope": 5}')
@example(body=b'{"access_token": "a", "expires_in": 1e400}')
@example(body=b'{"access_token": "a\\r\\nX-Evil: 1", "expires_in": 60}')
@example(body=b'{"access_token": "a", "refresh_token": ["b"], "scope": ["c", 5]}')
def test_tokens(body: bytes) -> None:
    try:
        new = read_tokens(body, asked_at=NOW)
    except VendorUnavailableError:
        return
    check_tokens(new)


@SETTINGS
@given(body=mutated(REFUSAL), status=st.integers(100, 599))
@example(body=b'{"error": []}', status=400)
@example(body=b'{"error": {"a": 1}}', status=401)
def test_refusals(body: bytes, status: int) -> None:
    error = refusal_of(status, body, slug="oura", after_loss=False)
    assert isinstance(error, VendorError)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in to the proxy</html>",
        b"",
        b"{}",
        b'{"message": "Unauthorized"}',
        b'{"error": "slow_down"}',
        b'{"error": "temporarily_unavailable"}',
        b'{"error": "unsupported_grant_type"}',
        b'{"error": "invalid_client"}',
        b'{"error": {"code": "invalid_grant"}}',
        b'{"error": "Unauthorized", "status": 401}',
        b'{"error": "Bad Request"}',
        b'{"error": "bad_request"}',
        b'{"error": ""}',
    ],
)
def test_only_the_vendors_own_word_ends_a_consent(status: int, body: bytes) -> None:
    error = refusal_of(status, body, slug="oura", after_loss=False)
    assert isinstance(error, VendorUnavailableError)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    "body",
    [
        REFUSAL,
        b'{"error": "invalid_request"}',  # Oura
        b'{"error": "token_inactive"}',
        b'{"error": "invalid_token"}',
        b'{"error": "access_denied"}',
        b'{"error": "invalid_scope"}',
    ],
)
def test_the_vendors_word_ends_a_consent(status: int, body: bytes) -> None:
    error = refusal_of(status, body, slug="oura", after_loss=False)
    assert isinstance(error, VendorRefusedError)
    assert error.permanent


@pytest.mark.parametrize("field", PROFILES)
@SETTINGS
@given(data=st.data())
def test_profiles(field: str, data: st.DataObject) -> None:
    body = data.draw(mutated(PROFILES[field]), label="body")
    try:
        account = oauth._account(body, field=field)
    except VendorUnavailableError:
        return
    assert account
    assert is_kept(account, VendorConnection, "account_id")


def check_subscription(one: Subscription) -> None:
    for name, text in (
        ("remote_id", one.remote_id),
        ("event_type", one.topic[0]),
        ("data_type", one.topic[1]),
        ("callback_url", one.callback_url),
    ):
        assert text
        assert is_kept(text, VendorSubscription, name)
    if one.expires_at is not None:
        assert one.expires_at.tzinfo is UTC
        assert isinstance(one.expires_at <= NOW, bool)
        assert isinstance(one.expires_at.timestamp(), float)


@SETTINGS
@given(body=mutated(json.dumps([SUBSCRIPTION, SUBSCRIPTION]).encode()))
def test_lists_of_subscriptions(body: bytes) -> None:
    try:
        rows = OuraSubscribing().read_list(body)
    except UnreadableDeliveryError:
        return
    for one in rows:
        check_subscription(one)


@SETTINGS
@given(body=mutated(json.dumps(SUBSCRIPTION).encode()))
@example(
    body=json.dumps(
        {**SUBSCRIPTION, "expiration_time": "0001-01-01T00:00:00+14:00"}
    ).encode()
)
@example(body=json.dumps({**SUBSCRIPTION, "event_type": "x" * 41}).encode())
def test_subscriptions(body: bytes) -> None:
    try:
        one = OuraSubscribing().read_one(body)
    except UnreadableDeliveryError:
        return
    check_subscription(one)


class Pages:
    """See VendorApi: gives this page, then empty ones."""

    def __init__(self, body: bytes) -> None:
        self._bodies = [body]

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        body = self._bodies.pop() if self._bodies else b'{"users": []}'
        return ApiResponse(url=path, status=200, body=body, fetched_at=NOW)


@SETTINGS
@given(body=mutated(ROSTER))
def test_rosters(body: bytes) -> None:
    async def read() -> list[Member]:
        return [one async for one in TerraRoster().members(Pages(body))]

    try:
        members = asyncio.run(read())
    except VendorUnavailableError:
        return
    for one in members:
        assert one.account_id
        assert is_kept(one.account_id, VendorConnection, "account_id")
        assert is_kept(one.reference, VendorConnection, "reference")
        assert isinstance(one.is_active, bool)


@SETTINGS
@given(body=mutated(json.dumps({"status": "success", "user": USER}).encode()))
def test_holders(body: bytes) -> None:
    try:
        holder = TerraWidget().holder_in(body)
    except UnreadableDeliveryError:
        return
    assert is_kept(holder.reference, VendorConnection, "reference")
    assert is_kept(holder.scopes, VendorConnection, "scopes")
    assert holder.reference.encode()


@SETTINGS
@given(body=mutated(WIDGET))
def test_widget_pages(body: bytes) -> None:
    try:
        url = TerraWidget().page_in(body)
    except UnreadableDeliveryError:
        return
    assert url.startswith(("https://", "http://"))
    assert url.isprintable()
    assert url.isascii()


HEADER = st.one_of(
    st.text(st.characters(codec="latin-1"), max_size=60),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "Mon, 01 Jan 2020 00:00:00 +99999999999999",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "Sat, 31 Dec 9999 23:59:59 -2359",
            "Mon, 99 Foo 99999 99:99:99 GMT",
            "9" * 400,
            "1e400",
            "nan",
            "-1",
        ]
    ),
)


@settings(SETTINGS, max_examples=2000)
@given(
    status=st.sampled_from([429, 500, 503]),
    retry_after=HEADER,
    reset=HEADER,
    tier=HEADER,
)
def test_wishes_to_be_left_alone(
    status: int, retry_after: str, reset: str, tier: str
) -> None:
    headers = {
        "retry-after": retry_after,
        "x-ratelimit-reset": reset,
        "x-ratelimit-tier": tier,
    }
    error = error_of(status=status, headers=headers, shared_limit=False, now=NOW)
    assert isinstance(error, VendorUnavailableError)
    assert error.retry_after is None or 1 <= error.retry_after <= 3600


def test_genuine_answers_are_read() -> None:
    new = read_tokens(TOKENS, asked_at=NOW)
    assert (new.access_token, new.refresh_token) == ("access-1", "refresh-1")
    assert new.expires_at == NOW + timedelta(hours=1)
    assert new.scopes == "read:sleep offline"
    assert oauth._account(PROFILES["id"], field="id") == "ring-1"
    assert oauth._account(PROFILES["user_id"], field="user_id") == "4711"
    (one, _) = OuraSubscribing().read_list(
        json.dumps([SUBSCRIPTION, SUBSCRIPTION]).encode()
    )
    assert one.topic == ("create", "sleep")
    assert one.expires_at == datetime(2027, 2, 20, 10, tzinfo=UTC)

"""Oura: who sent it, and the handshake."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from biometrics.errors import ConfigurationError, SignatureError
from biometrics.vendors.oura.adapter import Oura
from biometrics.vendors.wire import Credentials
from tests.vendors.contract import VendorContract
from tests.vendors.deliveries import NOW, SECRET, Case, fixture, make_request
from tests.vendors.oura_bodies import DATA_TYPES, all_cases, notification

CASES = all_cases()


class TestOura(VendorContract):
    slug = "oura"
    unknown_type = notification(data_type="daily_mood")
    not_deliveries = {
        "api_heartrate.json": "read as a list only",
        "community_api_heartrate_mcp.json": "read as a list only",
        "api_personal_info.json": "read on connecting only",
        "api_ring_battery_level.json": "a state of the ring, not of the body",
        "oauth_error_and_limits_headers.json": "headers of an answer",
        "subscription_create_request.json": "what we send",
        "verification_challenge_response.json": "what we answer",
    }

    def cases(self) -> Sequence[Case]:
        return CASES


def test_the_declared_types_are_the_documented_ones_without_meals() -> None:
    events = ("create", "update", "delete")
    assert Oura.event_types == {f"{t}.{e}" for t in DATA_TYPES for e in events}


def test_retries_of_an_hour_are_still_fresh_by_default() -> None:
    assert Oura.default_tolerance_s == 4200


def test_a_stale_time_in_either_unit_is_refused() -> None:
    for stamp in ("1786525200", "1786525200000"):
        headers = [("x-oura-signature", "00" * 32), ("x-oura-timestamp", stamp)]
        request = make_request(
            "oura", body=b"{}", headers=headers, at=NOW + timedelta(days=1)
        )
        with pytest.raises(SignatureError) as caught:
            Oura().verify(
                request, credentials=Credentials(secrets=[SECRET], tolerance_s=300)
            )
        assert caught.value.reason == "stale_timestamp"


# The handshake


def _knock(**query: str) -> tuple[int, dict[str, str]]:
    request = make_request("oura", method="GET", query=query)
    answered = Oura().handshake(request, verification_token="our token")
    assert answered is not None
    return answered.status, dict(answered.payload)


def test_the_challenge_is_echoed_to_who_knows_the_token() -> None:
    expected = json.loads(fixture("oura", "verification_challenge_response.json"))

    answered = _knock(verification_token="our token", challenge="random-string")

    assert answered == (200, expected)


@pytest.mark.parametrize("token", ["", "our toke", "OUR TOKEN", "\u00e4", "\ud800"])
def test_another_token_is_401_and_gets_no_echo(token: str) -> None:
    status, payload = _knock(verification_token=token, challenge="random-string")

    assert status == 401
    assert "challenge" not in payload
    assert "our token" not in str(payload)


def test_without_parameters_it_is_401() -> None:
    assert _knock()[0] == 401
    assert _knock(challenge="random-string")[0] == 401


@pytest.mark.parametrize("challenge", ["", "x" * 1025])
def test_no_challenge_or_an_endless_one_is_400(challenge: str) -> None:
    assert _knock(verification_token="our token", challenge=challenge)[0] == 400


def test_without_a_token_of_ours_nobody_is_let_in() -> None:
    request = make_request(
        "oura", method="GET", query={"verification_token": "", "challenge": "x"}
    )
    with pytest.raises(ConfigurationError, match="AUREN_OURA_VERIFICATION_TOKEN"):
        Oura().handshake(request, verification_token="")

"""OAuth of the fake Oura and WHOOP: codes and refresh tokens work once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.devstack.servers import OURA, WHOOP, Fakes, fake_vendors

pytestmark = pytest.mark.asyncio

BACK = "https://bridge.example/connect/done"
AUTHORIZE = {"oura": "/oura/oauth/authorize", "whoop": "/whoop/oauth/oauth2/auth"}
TOKEN = {"oura": "/oura/oauth/token", "whoop": "/whoop/oauth/oauth2/token"}
CLIENT = {"oura": OURA, "whoop": WHOOP}
DATA = {
    "oura": "/oura/v2/usercollection/sleep",
    "whoop": "/whoop/developer/v2/activity/sleep",
}
SCOPE = {"oura": "daily", "whoop": "read:sleep offline"}
VENDORS = ("oura", "whoop")


async def _consent(fakes: Fakes, vendor: str, **extra: str) -> dict[str, str]:
    """Go through the consent page; return the query of the way back."""
    await fakes.control("accounts", vendor=vendor, account="7")
    params = {
        "response_type": "code",
        "client_id": CLIENT[vendor].client_id,
        "redirect_uri": BACK,
        "scope": SCOPE[vendor],
        "state": "state-of-8",
        "account": "7",
        **extra,
    }
    async with fakes.session.get(
        fakes.url + AUTHORIZE[vendor], params=params, allow_redirects=False
    ) as answer:
        assert answer.status == 302, await answer.text()
        target = urlsplit(answer.headers["Location"])
    assert target.geturl().startswith(BACK)
    return dict(parse_qsl(target.query))


async def _token(fakes: Fakes, vendor: str, **form: str) -> tuple[int, dict[str, Any]]:
    client = CLIENT[vendor]
    data = {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        **form,
    }
    async with fakes.session.post(fakes.url + TOKEN[vendor], data=data) as answer:
        return answer.status, await answer.json()


async def _redeem(fakes: Fakes, vendor: str, code: str, **form: str) -> Any:
    return await _token(
        fakes,
        vendor,
        grant_type="authorization_code",
        code=code,
        redirect_uri=BACK,
        **form,
    )


async def _refresh(fakes: Fakes, vendor: str, token: str, **form: str) -> Any:
    return await _token(
        fakes, vendor, grant_type="refresh_token", refresh_token=token, **form
    )


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_consent_becomes_a_token_that_opens_the_api(vendor: str) -> None:
    async with fake_vendors() as fakes:
        back = await _consent(fakes, vendor)
        assert back["state"] == "state-of-8"
        status, grant = await _redeem(fakes, vendor, back["code"])
        assert status == 200
        assert grant["expires_in"] == {"oura": 86400, "whoop": 3600}[vendor]
        assert (await fakes.get(DATA[vendor], grant["access_token"]))[0] == 200
        assert (await fakes.get(DATA[vendor], "something else"))[0] == 401
        assert (await fakes.get(DATA[vendor]))[0] == 401


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_code_works_once_and_for_ten_minutes(vendor: str) -> None:
    async with fake_vendors() as fakes:
        first = await _consent(fakes, vendor)
        assert (await _redeem(fakes, vendor, first["code"]))[0] == 200
        again = await _redeem(fakes, vendor, first["code"])
        assert (again[0], again[1]["error"]) == (400, "invalid_grant")

        late = await _consent(fakes, vendor)
        fakes.clock.advance(601)
        assert (await _redeem(fakes, vendor, late["code"]))[0] == 400


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_refresh_token_works_once_and_is_replaced(vendor: str) -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant(vendor, "7")
        old = grant["refresh_token"]
        answers = await asyncio.gather(
            *(_refresh(fakes, vendor, old, scope="offline") for _ in range(10))
        )
        won = [body for status, body in answers if status == 200]
        assert len(won) == 1
        assert {body.get("error") for _, body in answers} == {None, "invalid_grant"}
        assert won[0]["refresh_token"] != old
        assert (await fakes.get(DATA[vendor], won[0]["access_token"]))[0] == 200
        # At WHOOP the old access token dies with the refresh, at Oura it runs out.
        before = await fakes.get(DATA[vendor], grant["access_token"])
        assert before[0] == {"oura": 200, "whoop": 401}[vendor]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_expired_token_is_refused_until_it_is_refreshed(vendor: str) -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant(vendor, "7")
        await fakes.control("grants/expire", vendor=vendor, account="7")
        assert (await fakes.get(DATA[vendor], grant["access_token"]))[0] == 401
        _, fresh = await _refresh(
            fakes, vendor, grant["refresh_token"], scope="offline"
        )
        assert (await fakes.get(DATA[vendor], fresh["access_token"]))[0] == 200
        fakes.clock.advance(fresh["expires_in"])
        assert (await fakes.get(DATA[vendor], fresh["access_token"]))[0] == 401


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_withdrawn_consent_cannot_be_refreshed(vendor: str) -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant(vendor, "7")
        await fakes.control("grants/revoke", vendor=vendor, account="7")
        assert (await fakes.get(DATA[vendor], grant["access_token"]))[0] == 401
        status, body = await _refresh(
            fakes, vendor, grant["refresh_token"], scope="offline"
        )
        assert (status, body["error"]) == (400, "invalid_grant")


async def test_whoop_gives_no_refresh_token_without_offline() -> None:
    async with fake_vendors() as fakes:
        back = await _consent(fakes, "whoop", scope="read:sleep")
        _, grant = await _redeem(fakes, "whoop", back["code"])
        assert "refresh_token" not in grant

        full = await fakes.grant("whoop", "7")
        _, renewed = await _refresh(fakes, "whoop", full["refresh_token"])
        assert "refresh_token" not in renewed


async def test_a_code_with_a_challenge_wants_its_verifier() -> None:
    verifier = "v" * 60
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    proof = {"code_challenge": challenge, "code_challenge_method": "S256"}
    async with fake_vendors() as fakes:
        for form, expected in (
            ({}, 400),
            ({"code_verifier": "wrong"}, 400),
            ({"code_verifier": verifier}, 200),
        ):
            back = await _consent(fakes, "oura", **proof)
            assert (await _redeem(fakes, "oura", back["code"], **form))[0] == expected


async def test_a_denied_consent_comes_back_as_an_error() -> None:
    async with fake_vendors() as fakes:
        back = await _consent(fakes, "oura", deny="1")
        assert back == {"error": "access_denied", "state": "state-of-8"}


async def test_the_consent_page_lists_who_could_consent() -> None:
    async with fake_vendors() as fakes:
        await fakes.control("accounts", vendor="oura", account="7", label="A <b> C")
        params = {
            "response_type": "code",
            "client_id": OURA.client_id,
            "redirect_uri": BACK,
        }
        async with fakes.session.get(
            fakes.url + AUTHORIZE["oura"], params=params
        ) as answer:
            assert answer.status == 200
            page = await answer.text()
        assert "A &lt;b&gt; C" in page
        assert "account=7" in page


@pytest.mark.parametrize(
    ("vendor", "wrong"),
    [
        ("whoop", {"state": "short"}),
        ("oura", {"client_id": "somebody"}),
        ("oura", {"redirect_uri": "javascript:alert(1)"}),
        ("oura", {"response_type": "token"}),
    ],
)
async def test_a_wrong_authorization_request_goes_nowhere(
    vendor: str, wrong: dict[str, str]
) -> None:
    async with fake_vendors() as fakes:
        params = {
            "response_type": "code",
            "client_id": CLIENT[vendor].client_id,
            "redirect_uri": BACK,
            "state": "state-of-8",
            **wrong,
        }
        async with fakes.session.get(
            fakes.url + AUTHORIZE[vendor], params=params, allow_redirects=False
        ) as answer:
            assert answer.status == 400


async def test_a_client_proves_itself_by_form_or_by_basic() -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant("oura", "7")
        wrong = await _refresh(
            fakes, "oura", grant["refresh_token"], client_secret="wrong"
        )
        assert (wrong[0], wrong[1]["error"]) == (401, "invalid_client")
        pair = f"{OURA.client_id}:{OURA.client_secret}".encode()
        async with fakes.session.post(
            fakes.url + TOKEN["oura"],
            data={
                "grant_type": "refresh_token",
                "refresh_token": grant["refresh_token"],
            },
            headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"},
        ) as answer:
            assert answer.status == 200


async def test_both_vendors_let_a_member_take_the_grant_back() -> None:
    async with fake_vendors() as fakes:
        oura = await fakes.grant("oura", "7")
        token = oura["access_token"]
        assert (await fakes.get("/oura/oauth/revoke", access_token=token))[0] == 200
        assert (await fakes.get(DATA["oura"], token))[0] == 401

        whoop = await fakes.grant("whoop", "7")
        async with fakes.session.delete(
            f"{fakes.url}/whoop/developer/v2/user/access",
            headers={"Authorization": f"Bearer {whoop['access_token']}"},
        ) as answer:
            assert answer.status == 204
        assert (await fakes.get(DATA["whoop"], whoop["access_token"]))[0] == 401

"""The fake Terra API: the widget, data on request, users."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from auren.devstack.fakes.server import send_webhooks
from auren.devstack.simulator.sender import Secrets
from tests.devstack.servers import TERRA, Bridge, Fakes, fake_vendors, serving

pytestmark = pytest.mark.asyncio

KEY = {"dev-id": TERRA.client_id, "x-api-key": TERRA.client_secret}
SECRET = "terra-secret"


async def _call(
    fakes: Fakes, method: str, path: str, **kwargs: Any
) -> tuple[int, dict[str, Any]]:
    async with fakes.session.request(
        method, f"{fakes.url}/terra{path}", headers=KEY, **kwargs
    ) as answer:
        return answer.status, await answer.json()


async def _days(fakes: Fakes) -> None:
    await fakes.control("accounts", vendor="terra", account="u1")
    for day in ("2026-11-17", "2026-11-18", "2026-11-19"):
        await fakes.put(
            "terra", "u1", collection="daily", key=day, at=day, body={"day": day}
        )


async def test_data_comes_in_the_answer_when_asked_not_to_use_the_webhook() -> None:
    async with fake_vendors() as fakes:
        await _days(fakes)
        span = {"start_date": "2026-11-18", "end_date": "2026-11-19"}
        status, body = await _call(
            fakes,
            "GET",
            "/v2/daily",
            params={"user_id": "u1", "to_webhook": "false", **span},
        )
        assert status == 200
        assert [entry["day"] for entry in body["data"]] == ["2026-11-18", "2026-11-19"]
        assert (body["type"], body["user"]["user_id"]) == ("daily", "u1")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"user_id": "nobody", "start_date": "2026-11-18"}, 404),
        ({"user_id": "u1", "start_date": "soon"}, 400),
        ({"user_id": "u1"}, 400),
        (
            {"user_id": "u1", "start_date": "2016-01-01", "end_date": "2026-01-01"},
            400,
        ),
    ],
)
async def test_wrong_requests_are_refused(params: dict[str, str], status: int) -> None:
    async with fake_vendors() as fakes:
        await _days(fakes)
        assert (await _call(fakes, "GET", "/v2/daily", params=params))[0] == status


async def test_the_api_key_is_needed() -> None:
    async with fake_vendors() as fakes:
        await _days(fakes)
        wrong = {**KEY, "x-api-key": "wrong"}
        for path in ("/v2/daily?user_id=u1", "/v2/subscriptions", "/v2/userInfo"):
            async with fakes.session.get(
                f"{fakes.url}/terra{path}", headers=wrong
            ) as answer:
                assert answer.status == 401


async def test_subscriptions_come_in_pages() -> None:
    async with fake_vendors() as fakes:
        for number in range(3):
            await fakes.control("accounts", vendor="terra", account=f"u{number}")
        path = "/v2/subscriptions"
        pages = [
            (await _call(fakes, "GET", f"{path}?page={page}&per_page=2"))[1]["users"]
            for page in (0, 1)
        ]
        assert [[u["user_id"] for u in users] for users in pages] == [
            ["u0", "u1"],
            ["u2"],
        ]


async def _next(bridge: Bridge) -> tuple[dict[str, str], dict[str, Any]]:
    """Return headers and payload of the next webhook, its signature checked by hand."""
    await bridge.until(1)
    one = bridge.received.pop()
    stamp, _, signature = one.headers["terra-signature"].partition(",v1=")
    message = stamp.removeprefix("t=").encode() + b"." + one.body
    made = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    assert signature == made
    assert one.headers["x-terra-trace-id"]
    payload: dict[str, Any] = json.loads(one.body)
    return one.headers, payload


def _telling(bridge: str) -> Any:
    secrets = Secrets(signing={"terra": SECRET})
    return lambda app: send_webhooks(app, bridge=bridge, secrets=secrets)


async def test_somebody_connects_on_the_widget_and_leaves_again() -> None:
    bridge = Bridge()
    async with (
        serving(bridge.app()) as url,
        fake_vendors(prepare=_telling(url)) as fakes,
    ):
        wanted = {
            "reference_id": "person-9",
            "auth_success_redirect_url": "https://bridge.example/done?x=1",
        }
        status, session = await _call(
            fakes, "POST", "/v2/auth/generateWidgetSession", json=wanted
        )
        assert (status, session["expires_in"]) == (201, 900)
        async with fakes.session.get(session["url"]) as answer:
            assert "connect=1" in await answer.text()
        async with fakes.session.get(
            f"{session['url']}?connect=1", allow_redirects=False
        ) as answer:
            query = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        assert query["x"] == "1"
        _, told = await _next(bridge)
        assert (told["type"], told["status"]) == ("auth", "success")
        assert told["user"]["user_id"] == query["user_id"]
        assert told["user"]["reference_id"] == "person-9"

        gone = f"/v2/auth/deauthenticateUser?user_id={query['user_id']}"
        assert (await _call(fakes, "DELETE", gone))[0] == 200
        assert (await _next(bridge))[1]["type"] == "deauth"
        assert (await _call(fakes, "DELETE", gone))[0] == 404


async def test_a_cancelled_widget_is_told_without_a_user() -> None:
    bridge = Bridge()
    async with (
        serving(bridge.app()) as url,
        fake_vendors(prepare=_telling(url)) as fakes,
    ):
        _, session = await _call(
            fakes, "POST", "/auth/generateWidgetSession", json={"reference_id": "p"}
        )
        async with fakes.session.get(f"{session['url']}?cancel=1") as answer:
            assert answer.status == 200
        _, told = await _next(bridge)
        assert (told["type"], told["reference_id"]) == ("auth_cancelled", "p")
        assert "user" not in told
        async with fakes.session.get(session["url"]) as answer:
            assert answer.status == 404


async def test_a_session_ends_after_fifteen_minutes() -> None:
    async with fake_vendors() as fakes:
        _, session = await _call(fakes, "POST", "/auth/generateWidgetSession", json={})
        fakes.clock.advance(900)
        async with fakes.session.get(session["url"]) as answer:
            assert answer.status == 404


async def test_data_on_request_comes_by_webhook_with_its_reference() -> None:
    bridge = Bridge()
    async with (
        serving(bridge.app()) as url,
        fake_vendors(prepare=_telling(url)) as fakes,
    ):
        await _days(fakes)
        _, answer = await _call(
            fakes,
            "GET",
            "/v2/daily",
            params={"user_id": "u1", "start_date": "2026-11-17"},
        )
        headers, told = await _next(bridge)
        assert headers["terra-reference"] == answer["reference"]
        assert [entry["day"] for entry in told["data"]] == ["2026-11-17"]


async def test_a_fake_without_a_bridge_says_so() -> None:
    async with fake_vendors() as fakes:
        await _days(fakes)
        status, body = await _call(
            fakes,
            "GET",
            "/v2/daily",
            params={"user_id": "u1", "start_date": "2026-11-17"},
        )
        assert status == 500
        assert "--bridge" in body["detail"]

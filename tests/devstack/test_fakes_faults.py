"""Faults on demand: each one once, where it was asked for, then all is well."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.devstack.servers import Fakes, fake_vendors

pytestmark = pytest.mark.asyncio

PATH = "/oura/v2/usercollection/sleep"


async def _fault(fakes: Fakes, kind: str, **extra: Any) -> None:
    await fakes.control("faults", vendor="oura", kind=kind, **extra)


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("500", 500), ("401", 401)])
async def test_a_status_is_answered_as_often_as_was_asked(
    kind: str, status: int
) -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _fault(fakes, kind, times=2)
        seen = [(await fakes.get(PATH, token))[0] for _ in range(3)]
        assert seen == [status, status, 200]


async def test_a_429_tells_when_to_come_again() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _fault(fakes, "429", seconds=17)
        async with fakes.session.get(
            fakes.url + PATH, headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "17"
            reset = round(fakes.clock.now.timestamp()) + 17
            assert answer.headers["X-RateLimit-Reset"] == str(reset)
            assert answer.headers["X-RateLimit-Tier"] == "application"


async def test_a_truncated_answer_breaks_off() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _fault(fakes, "truncated")
        with pytest.raises(aiohttp.ClientPayloadError):
            await fakes.get(PATH, token)
        assert (await fakes.get(PATH, token))[0] == 200


async def test_a_slow_answer_comes_late_but_whole() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _fault(fakes, "slow", seconds=0.3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fakes.get(PATH, token), timeout=0.1)
        await _fault(fakes, "slow", seconds=0.05)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await fakes.get(PATH, token))[0] == 200
        assert loop.time() - began >= 0.05


async def test_a_fault_stays_with_its_vendor_and_path() -> None:
    async with fake_vendors() as fakes:
        oura = await fakes.grant("oura", "a")
        whoop = (await fakes.grant("whoop", "1"))["access_token"]
        await _fault(fakes, "500", path="workout")
        assert (await fakes.get("/whoop/v2/cycle", whoop))[0] == 200
        assert (await fakes.get(PATH, oura["access_token"]))[0] == 200
        workouts = "/oura/v2/usercollection/workout"
        assert (await fakes.get(workouts, oura["access_token"]))[0] == 500


async def test_oauth_is_spared_unless_it_is_named() -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant("oura", "a")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": grant["refresh_token"],
            "client_id": "oura-client",
            "client_secret": "oura-client-secret",
        }
        url = f"{fakes.url}/oura/oauth/token"
        await _fault(fakes, "500", path="/oauth/token")
        async with fakes.session.post(url, data=form) as answer:
            assert answer.status == 500
        await _fault(fakes, "500")
        async with fakes.session.post(url, data=form) as answer:
            assert answer.status == 200


async def test_webhook_faults_are_handed_to_whoever_announces() -> None:
    async with fake_vendors() as fakes:
        await _fault(fakes, "missing")
        await _fault(fakes, "duplicate")
        shown = [
            (await fakes.control("documents", announces=vendor))["webhook_faults"]
            for vendor in ("whoop", "oura", "oura", "oura")
        ]
        assert shown == [[], ["missing"], ["duplicate"], []]


async def test_faults_can_be_listed_and_called_off() -> None:
    async with fake_vendors() as fakes:
        await _fault(fakes, "500", times=3)
        async with fakes.session.get(f"{fakes.url}/control/faults") as answer:
            assert [f["times"] for f in (await answer.json())["waiting"]] == [3]
        async with fakes.session.delete(f"{fakes.url}/control/faults") as answer:
            assert (await answer.json())["waiting"] == []
        token = (await fakes.grant("oura", "a"))["access_token"]
        assert (await fakes.get(PATH, token))[0] == 200


@pytest.mark.parametrize(
    ("path", "payload", "says"),
    [
        ("faults", {"vendor": "oura", "kind": "explosion"}, "truncated"),
        ("faults", {"vendor": "fitbit", "kind": "500"}, "oura, whoop, terra"),
        ("accounts", {"vendor": "oura"}, "account is missing"),
        ("grants", {"vendor": "oura", "account": "nobody"}, "add it first"),
        ("documents", {"put": [{"vendor": "oura"}]}, "put or delete"),
    ],
)
async def test_the_control_api_names_what_is_wrong(
    path: str, payload: dict[str, Any], says: str
) -> None:
    async with fake_vendors() as fakes:
        url = f"{fakes.url}/control/{path}"
        async with fakes.session.post(url, json=payload) as answer:
            assert answer.status in {400, 404}
            assert says in await answer.text()


async def test_state_counts_requests_by_route() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        for key in ("1", "2"):
            await fakes.get(f"{PATH}/{key}", token)
        async with fakes.session.get(f"{fakes.url}/control/state") as answer:
            state = (await answer.json())["vendors"]["oura"]
        assert state["accounts"] == ["a"]
        route = "GET /oura/v2/usercollection/{collection}/{key} 404"
        assert state["requests"] == {route: 2}

"""The fake Oura cloud: documents, lists, scopes and subscriptions."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.devstack.servers import OURA, Fakes, fake_vendors, serving

pytestmark = pytest.mark.asyncio

USER = "/oura/v2/usercollection"
SUBSCRIPTIONS = "/oura/v2/webhook/subscription"
APPLICATION = {"x-client-id": OURA.client_id, "x-client-secret": OURA.client_secret}


async def _sleeps(fakes: Fakes, account: str = "a", *, days: int = 5) -> None:
    for day in range(1, days + 1):
        date = f"2026-11-{day:02d}"
        await fakes.put(
            "oura",
            account,
            collection="sleep",
            key=f"sleep-{day}",
            at=date,
            body={"id": f"sleep-{day}", "day": date},
        )


async def test_a_document_is_found_by_its_id_and_only_by_its_owner() -> None:
    async with fake_vendors() as fakes:
        mine = (await fakes.grant("oura", "a"))["access_token"]
        other = (await fakes.grant("oura", "b"))["access_token"]
        await _sleeps(fakes, days=1)
        assert await fakes.get(f"{USER}/sleep/sleep-1", mine) == (
            200,
            {"id": "sleep-1", "day": "2026-11-01"},
        )
        assert (await fakes.get(f"{USER}/sleep/sleep-1", other))[0] == 404
        assert (await fakes.get(f"{USER}/daily_sleep/sleep-1", mine))[0] == 404


async def test_a_deleted_document_is_gone() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _sleeps(fakes, days=1)
        gone = {
            "vendor": "oura",
            "account": "a",
            "collection": "sleep",
            "key": "sleep-1",
        }
        await fakes.control("documents", delete=[gone])
        assert (await fakes.get(f"{USER}/sleep/sleep-1", token))[0] == 404


async def test_a_list_holds_both_days_of_its_span() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _sleeps(fakes)
        _, body = await fakes.get(
            f"{USER}/sleep", token, start_date="2026-11-02", end_date="2026-11-04"
        )
        assert [item["day"][-2:] for item in body["data"]] == ["02", "03", "04"]
        assert body["next_token"] is None
        assert (await fakes.get(f"{USER}/sleep", token, start_date="soon"))[0] == 422


async def test_pages_neither_repeat_nor_hide_what_comes_meanwhile() -> None:
    async with fake_vendors(page_size=2) as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        await _sleeps(fakes)
        _, first = await fakes.get(f"{USER}/sleep", token)
        early = {"collection": "sleep", "key": "nap", "at": "2026-10-31", "body": {}}
        await fakes.put("oura", "a", **early)
        days = [item["day"][-2:] for item in first["data"]]
        cursor = first["next_token"]
        while cursor:
            _, body = await fakes.get(f"{USER}/sleep", token, next_token=cursor)
            days += [item["day"][-2:] for item in body["data"]]
            cursor = body["next_token"]
        assert days == ["01", "02", "03", "04", "05"]
        assert (await fakes.get(f"{USER}/sleep", token, next_token="no"))[0] == 400


async def test_vo2_max_is_spelled_as_in_the_path() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        assert (await fakes.get(f"{USER}/vO2_max", token))[0] == 200
        assert (await fakes.get(f"{USER}/vo2_max", token))[0] == 404


async def test_a_missing_scope_closes_one_collection_alone() -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant("oura", "a", scopes="daily")
        token = grant["access_token"]
        assert (await fakes.get(f"{USER}/sleep", token))[0] == 200
        assert (await fakes.get(f"{USER}/workout", token))[0] == 403


async def test_personal_info_names_the_account() -> None:
    async with fake_vendors() as fakes:
        await fakes.control(
            "accounts",
            vendor="oura",
            account="a",
            profile={"personal_info": {"id": "a", "age": 34}},
        )
        grant = await fakes.control("grants", vendor="oura", account="a", scopes="tag")
        info = await fakes.get(f"{USER}/personal_info", grant["access_token"])
        assert info == (200, {"id": "a", "age": 34})


class _Callback:
    """The bridge's side of a handshake."""

    def __init__(self, *, status: int = 200, repeats: bool = True) -> None:
        self.status = status
        self.repeats = repeats
        self.tokens: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/webhooks/oura", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.query["verification_token"])
        said = request.query["challenge"] if self.repeats else "something"
        return web.json_response({"challenge": said}, status=self.status)


async def _subscribe(fakes: Fakes, callback: str, **extra: str) -> tuple[int, Any]:
    wanted = {
        "callback_url": f"{callback}/webhooks/oura",
        "verification_token": "secret-token",
        "event_type": "create",
        "data_type": "sleep",
        **extra,
    }
    async with fakes.session.post(
        fakes.url + SUBSCRIPTIONS, json=wanted, headers=APPLICATION
    ) as answer:
        return answer.status, await answer.json()


async def test_a_subscription_is_made_after_the_handshake() -> None:
    callback = _Callback()
    async with fake_vendors() as fakes, serving(callback.app()) as url:
        status, made = await _subscribe(fakes, url)
        assert status == 201
        assert callback.tokens == ["secret-token"]
        assert made["event_type"] == "create"
        async with fakes.session.get(
            f"{fakes.url}{SUBSCRIPTIONS}/", headers=APPLICATION
        ) as answer:
            assert await answer.json() == [made]


@pytest.mark.parametrize(
    "callback", [_Callback(status=401), _Callback(repeats=False)], ids=["401", "other"]
)
async def test_a_failed_handshake_makes_no_subscription(callback: _Callback) -> None:
    async with fake_vendors() as fakes, serving(callback.app()) as url:
        assert (await _subscribe(fakes, url))[0] == 400
        async with fakes.session.get(
            fakes.url + SUBSCRIPTIONS, headers=APPLICATION
        ) as answer:
            assert await answer.json() == []


async def test_a_subscription_is_renewed_changed_and_deleted() -> None:
    callback = _Callback()
    async with fake_vendors() as fakes, serving(callback.app()) as url:
        _, made = await _subscribe(fakes, url)
        one = f"{fakes.url}{SUBSCRIPTIONS}/{made['id']}"
        fakes.clock.advance(80 * 86_400)
        renewal = f"{fakes.url}{SUBSCRIPTIONS}/renew/{made['id']}"
        async with fakes.session.put(renewal, headers=APPLICATION) as answer:
            renewed = await answer.json()
        assert renewed["expiration_time"] > made["expiration_time"]
        change = {"verification_token": "secret-token", "data_type": "workout"}
        async with fakes.session.put(one, json=change, headers=APPLICATION) as answer:
            assert (await answer.json())["data_type"] == "workout"
        # On making, renewing and changing it.
        assert len(callback.tokens) == 3
        async with fakes.session.delete(one, headers=APPLICATION) as answer:
            assert answer.status == 204
        # Unknown ids and unknown applications look the same from outside.
        async with fakes.session.get(one, headers=APPLICATION) as answer:
            assert answer.status == 403


async def test_what_has_ended_is_not_renewed() -> None:
    callback = _Callback()
    async with fake_vendors() as fakes, serving(callback.app()) as url:
        _, made = await _subscribe(fakes, url)
        fakes.clock.advance(91 * 86_400)
        renewal = f"{fakes.url}{SUBSCRIPTIONS}/renew/{made['id']}"
        async with fakes.session.put(renewal, headers=APPLICATION) as answer:
            assert answer.status == 403


async def test_only_the_application_may_subscribe() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("oura", "a"))["access_token"]
        assert (await fakes.get(SUBSCRIPTIONS, token))[0] == 403

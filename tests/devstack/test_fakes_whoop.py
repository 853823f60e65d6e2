"""The fake WHOOP API: ways to a recovery, lists, limits."""

from __future__ import annotations

import pytest

from tests.devstack.servers import Fakes, fake_vendors

pytestmark = pytest.mark.asyncio

V2 = "/whoop/developer/v2"


async def _record(
    fakes: Fakes, collection: str, key: str, *, at: str, **body: object
) -> None:
    await fakes.put("whoop", "10129", collection=collection, key=key, at=at, body=body)


async def _sleeps(fakes: Fakes, count: int) -> None:
    for hour in range(count):
        at = f"2026-11-19T{hour % 24:02d}:00:00.{hour:03d}Z"
        await _record(fakes, "sleep", f"s{hour}", at=at, id=f"s{hour}")


async def test_a_recovery_is_reached_by_way_of_sleep_and_cycle() -> None:
    at = "2026-11-19T22:00:00.000Z"
    async with fake_vendors() as fakes:
        token = (await fakes.grant("whoop", "10129"))["access_token"]
        await _record(fakes, "sleep", "uuid", at=at, id="uuid", cycle_id=93845)
        await _record(fakes, "cycle", "93845", at=at, id=93845)
        assert (await fakes.get(f"{V2}/cycle/93845/recovery", token))[0] == 404
        await _record(fakes, "recovery", "93845", at=at, cycle_id=93845)

        _, sleep = await fakes.get(f"{V2}/activity/sleep/uuid", token)
        way = f"{V2}/cycle/{sleep['cycle_id']}"
        assert (await fakes.get(f"{way}/recovery", token))[1] == {"cycle_id": 93845}
        assert (await fakes.get(f"{way}/sleep", token))[1]["id"] == "uuid"
        assert (await fakes.get(way, token))[1] == {"id": 93845}
        # The API has no such route, however often it is tried.
        async with fakes.session.get(
            f"{fakes.url}{V2}/recovery/93845",
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            assert answer.status == 404


async def test_lists_are_newest_first_ten_at_a_time() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("whoop", "10129"))["access_token"]
        await _sleeps(fakes, 12)
        path = f"{V2}/activity/sleep"
        _, first = await fakes.get(path, token)
        assert [r["id"] for r in first["records"]] == [
            f"s{n}" for n in range(11, 1, -1)
        ]
        _, rest = await fakes.get(path, token, nextToken=first["next_token"])
        assert [r["id"] for r in rest["records"]] == ["s1", "s0"]
        assert "next_token" not in rest
        assert (await fakes.get(path, token, limit="26"))[0] == 400
        _, many = await fakes.get(path, token, limit="25")
        assert len(many["records"]) == 12


async def test_a_span_includes_its_start_and_not_its_end() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("whoop", "10129"))["access_token"]
        for hour in (8, 9, 10):
            at = f"2026-11-19T{hour:02d}:00:00.000Z"
            await _record(fakes, "cycle", str(hour), at=at, id=hour)
        _, body = await fakes.get(
            f"{V2}/cycle",
            token,
            start="2026-11-19T08:00:00Z",
            end="2026-11-19T10:00:00.000Z",
        )
        assert [record["id"] for record in body["records"]] == [9, 8]


async def test_a_token_without_the_scope_is_refused() -> None:
    async with fake_vendors() as fakes:
        grant = await fakes.grant("whoop", "10129", scopes="read:sleep offline")
        token = grant["access_token"]
        assert (await fakes.get(f"{V2}/activity/sleep", token))[0] == 200
        assert (await fakes.get(f"{V2}/recovery", token))[0] == 401


async def test_the_hundred_and_first_request_of_a_minute_is_refused() -> None:
    async with fake_vendors() as fakes:
        token = (await fakes.grant("whoop", "10129"))["access_token"]
        url = f"{fakes.url}{V2}/activity/sleep"
        headers = {"Authorization": f"Bearer {token}"}
        fakes.clock.advance(15)
        for _ in range(100):
            assert (await fakes.get(f"{V2}/activity/sleep", token))[0] == 200
        async with fakes.session.get(url, headers=headers) as answer:
            assert answer.status == 429
            limits = answer.headers
        assert limits["X-RateLimit-Limit"] == "100, 100;window=60, 10000;window=86400"
        assert limits["X-RateLimit-Remaining"] == "0"
        # Seconds until it resets, not a date.
        assert limits["X-RateLimit-Reset"] == "45"
        fakes.clock.advance(45)
        assert (await fakes.get(f"{V2}/activity/sleep", token))[0] == 200

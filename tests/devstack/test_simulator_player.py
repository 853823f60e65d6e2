"""Playing against a bridge over real HTTP: order, rate, retries, faults, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest

from auren.devstack.simulator import timeline
from auren.devstack.simulator.control import VendorControl
from auren.devstack.simulator.people import Person, cast
from auren.devstack.simulator.player import Player
from auren.devstack.simulator.sender import Outcome, Phone, Secrets, Sender
from tests.devstack.servers import Bridge, Fakes, fake_vendors, serving

pytestmark = pytest.mark.asyncio

TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = cast(seed=7, count=6, today=TODAY)
SECRETS = Secrets(
    signing={slug: f"{slug}-secret" for slug in ("oura", "whoop", "terra")},
    phones={p.account: Phone(token=f"token-of-{p.slug}") for p in PEOPLE},
)


@dataclass(slots=True, kw_only=True)
class Stage:
    """A bridge, fake vendors, and what plays between them."""

    bridge: Bridge
    url: str
    fakes: Fakes
    sender: Sender

    def player(self, people: Sequence[Person] = PEOPLE, **changes: Any) -> Player:
        """Return a fast player; no history unless asked for."""
        options: dict[str, Any] = {"rate": 1000, "history_days": 0, "seed": 1}
        control = VendorControl(session=self.fakes.session, url=self.fakes.url)
        return Player(
            people=people,
            sender=self.sender,
            vendors=control,
            clock=_ticking(),
            **options | changes,
        )


@asynccontextmanager
async def _stage(
    *, secrets: Secrets = SECRETS, answers: Sequence[int] = ()
) -> AsyncIterator[Stage]:
    bridge = Bridge(answers=list(answers))
    async with serving(bridge.app()) as url, fake_vendors() as fakes:
        sender = Sender(
            session=fakes.session,
            bridge=url,
            secrets=secrets,
            clock=lambda: NOON,
            retry_scale=1e-6,
        )
        yield Stage(bridge=bridge, url=url, fakes=fakes, sender=sender)


def _ticking() -> Callable[[], datetime]:
    """Return a clock that is a quarter of a second later each time it is read."""
    ticks = count()
    return lambda: NOON + timedelta(seconds=next(ticks) / 4)


def _of(vendor: str) -> list[Person]:
    return [person for person in PEOPLE if person.vendor == vendor]


async def test_history_is_everybodys_essentials_each_in_order() -> None:
    days = 10
    async with _stage() as stage:
        await stage.player(history_days=days, count=None, rate=10_000).play_past()
        received = stage.bridge.received
        state = await stage.fakes.get("/control/state")
    planned = [
        item.delivery.body
        for _, item in timeline.between(
            PEOPLE,
            since=NOON - timedelta(days=days),
            until=NOON - timedelta(days=3),
        )
        if item.essential
    ]
    assert len(planned) > 100
    greetings = [one for one in received if b'"type":"auth"' in one.body]
    assert len(greetings) == len(_of("terra"))
    rest = [one.body for one in received if one not in greetings]
    assert sorted(rest) == sorted(planned)
    for person in _of("oura"):
        mine = [one.body for one in received if person.account.encode() in one.body]
        assert mine == [body for body in planned if person.account.encode() in body]
    # Whatever was announced can be fetched.
    assert state[1]["vendors"]["oura"]["documents"] > 30
    assert state[1]["vendors"]["whoop"]["documents"] > 10


async def test_count_is_how_many_deliveries_are_made() -> None:
    async with _stage() as stage:
        await stage.player(count=25, history_days=5).play()
        assert len(stage.bridge.received) == 25
        assert stage.sender.tally.sent == 25


async def test_all_four_vendors_are_heard_of_and_signed_for() -> None:
    async with _stage() as stage:
        await stage.player(count=200).play()
        received = stage.bridge.received
    by_path = {one.path: one.headers for one in received}
    assert by_path.keys() == {
        "/webhooks/oura",
        "/webhooks/whoop",
        "/webhooks/terra",
        "/webhooks/healthkit",
    }
    assert "x-oura-signature" in by_path["/webhooks/oura"]
    assert "x-whoop-signature" in by_path["/webhooks/whoop"]
    assert "x-terra-trace-id" in by_path["/webhooks/terra"]
    assert {one.headers.get("api-key") for one in received} == {
        None,
        "token-of-person-06",
    }


async def test_duplicates_come_now_and_then() -> None:
    async with _stage() as stage:
        await stage.player(count=400).play()
        bodies = [one.body for one in stage.bridge.received]
        assert len(bodies) == 400
        repeated = len(bodies) - len(set(bodies))
        assert 1 <= repeated <= 40
        assert stage.sender.tally.outcomes[Outcome.DUPLICATE] == repeated


async def test_the_rate_is_kept() -> None:
    async with _stage() as stage:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await stage.player(_of("terra"), count=12, rate=40).play()
        assert loop.time() - began >= 10 / 40


async def test_a_sdk_that_knows_its_user_posts_under_it() -> None:
    account = next(p.account for p in PEOPLE if p.sender == "sdk")
    phones = {**SECRETS.phones, account: Phone(token="t", user_id="user-1")}
    secrets = Secrets(signing=SECRETS.signing, phones=phones)
    async with _stage(secrets=secrets) as stage:
        await stage.player(_of("healthkit"), count=20).play()
        by_path = {one.path: one.headers for one in stage.bridge.received}
    assert by_path.keys() == {"/api/v1/sdk/users/user-1/sync", "/webhooks/healthkit"}
    assert by_path["/api/v1/sdk/users/user-1/sync"]["authorization"] == "t"


@pytest.mark.parametrize(
    ("vendor", "refusal", "outcome", "attempts"),
    [
        ("oura", 503, Outcome.GIVEN_UP, 11),
        ("oura", 401, Outcome.REFUSED, 11),
        ("oura", 410, Outcome.ENDED, 1),
        ("whoop", 503, Outcome.GIVEN_UP, 6),
        ("whoop", 400, Outcome.REFUSED, 6),
        ("terra", 500, Outcome.GIVEN_UP, 9),
        ("terra", 401, Outcome.REFUSED, 9),
    ],
)
async def test_each_vendor_tries_as_often_as_it_documents(
    vendor: str, refusal: int, outcome: Outcome, attempts: int
) -> None:
    async with _stage(answers=[refusal] * 50) as stage:
        await stage.player(_of(vendor)[:1], count=1).play()
        assert len(stage.bridge.received) == attempts
        assert stage.sender.tally.outcomes == {outcome: 1}
        assert len({one.body for one in stage.bridge.received}) == 1


@pytest.mark.parametrize(("answer", "attempts"), [(503, 5), (413, 1), (401, 1)])
async def test_a_phone_keeps_what_failed_and_drops_what_was_refused(
    answer: int, attempts: int
) -> None:
    person = next(p for p in PEOPLE if p.sender == "sdk")
    async with _stage(answers=[answer] * 50) as stage:
        await stage.player((person,), count=1).play()
        assert len(stage.bridge.received) == attempts


async def test_a_bridge_that_comes_back_gets_everything() -> None:
    async with _stage(answers=[503] * 7) as stage:
        await stage.player(_of("terra"), count=10).play()
        tally = stage.sender.tally
        assert tally.retries == 7
        assert tally.outcomes[Outcome.GIVEN_UP] == 0
        assert len({one.body for one in stage.bridge.received}) >= 9
        assert "HTTP 503: 7" in tally.line()


async def test_a_bridge_that_is_away_is_counted_as_unanswered() -> None:
    async with _stage() as stage:
        stage.sender.bridge = "http://127.0.0.1:1"
        await stage.player(_of("whoop"), count=1).play()
        assert stage.sender.tally.unanswered == 6
        assert stage.sender.tally.outcomes == {Outcome.GIVEN_UP: 1}


async def _first_six(stage: Stage) -> list[bytes]:
    """Play until six of Oura's deliveries were made; return their bodies."""
    player = stage.player(_of("oura")[:1], count=6, history_days=1, rate=200)
    await player.play()
    return [one.body for one in stage.bridge.received]


async def test_faults_of_webhooks_are_played() -> None:
    async with _stage() as stage:
        plain = await _first_six(stage)
    assert len(plain) == 6

    async def with_fault(kind: str) -> tuple[list[bytes], int]:
        async with _stage() as stage:
            # A delay outlasts all six deliveries, on a busy machine too.
            stage.sender.retry_scale = 1.0 / 600
            await stage.fakes.control("faults", vendor="oura", kind=kind)
            return await _first_six(stage), stage.sender.tally.skipped

    missed, skipped = await with_fault("missing")
    assert (len(missed), skipped) == (6, 1)
    assert missed[:4] == plain[1:5]
    doubled, _ = await with_fault("duplicate")
    assert doubled[0] == doubled[1]
    late, _ = await with_fault("delayed")
    assert sorted(late) == sorted(plain)
    assert late.index(plain[0]) > 1
    swapped, _ = await with_fault("reordered")
    assert swapped[:2] == [plain[1], plain[0]]


async def test_stop_ends_a_history_that_hangs() -> None:
    async with _stage(answers=[503] * 10_000) as stage:
        stage.sender.retry_scale = 1.0
        player = stage.player(history_days=30)
        running = asyncio.create_task(player.play())
        await stage.bridge.until(3)
        player.stop()
        await asyncio.wait_for(running, timeout=5)
        assert stage.sender.tally.retrying == 0


async def test_lost_fake_vendors_end_the_play() -> None:
    async with _stage() as stage:
        player = stage.player(count=50)
        player.vendors = VendorControl(
            session=stage.fakes.session, url="http://127.0.0.1:1"
        )
        with pytest.raises(aiohttp.ClientError):
            await player.play()


async def test_a_delivery_that_cannot_be_signed_ends_the_play() -> None:
    async with _stage(secrets=Secrets(signing={})) as stage:
        with pytest.raises(KeyError):
            await stage.player(_of("oura"), history_days=1).play()

"""Vendors' limits are kept by all processes together, and by shares without Redis."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from auren.devstack.valkey import EmbeddedValkey
from biometrics import nudges
from biometrics.connections import pacing
from biometrics.models import WebhookDelivery
from biometrics.vendors.api_spec import RateLimit
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.terra.lists import days_asked
from resilience import get_breaker
from tests.connections.vendors import running_fakes
from tests.recovery.vendors import Vendors

LIMIT = RateLimit(amount=8, window_s=3600)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _anew(settings: Settings) -> Iterator[None]:
    settings.VENDOR_LIMIT_FACTOR = 1.0
    settings.WORKERS = 4
    pacing.forget()
    nudges.connect.cache_clear()
    yield
    pacing.forget()
    nudges.connect().connection_pool.disconnect()
    nudges.connect.cache_clear()


def take(
    limit: RateLimit = LIMIT, *, account: str = "someone", **params: str
) -> float | None:
    return pacing.take(
        slug="acme", account=account, limits=[limit], params=params, now=NOW
    )


def leave(tries: int, limit: RateLimit = LIMIT, *, account: str = "someone") -> int:
    """Return how many of some calls may be made."""
    return [take(limit, account=account) for _ in range(tries)].count(None)


def together(tries: int, *, redis_url: str) -> list[int]:
    """Let two processes take of a limit of 40 at once; return what each got."""
    code = ["-m", "tests.connections.pacing_process", "acme", "40", str(tries)]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "REDIS_URL": redis_url,
        "VENDOR_LIMIT_FACTOR": "1",
        "WORKERS": "4",
    }
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *code],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [int(process.communicate(timeout=60)[0]) for process in processes]


@pytest.mark.redis
class TestTogether:
    @pytest.fixture(autouse=True)
    def _redis(self, settings: Settings, redis_url: str) -> None:
        settings.REDIS_URL = redis_url

    def test_two_processes_get_no_more_than_there_is(self, redis_url: str) -> None:
        got = together(40, redis_url=redis_url)
        assert sum(got) == 40
        assert together(1, redis_url=redis_url) == [0, 0]

    def test_what_is_used_up_says_for_how_long(self) -> None:
        assert leave(8) == 8
        wait = take()
        assert wait is not None
        assert 3590 < wait <= 3600

    def test_an_account_has_its_own_where_the_limit_is_its_own(self) -> None:
        mine = dataclasses.replace(LIMIT, each="account")
        assert leave(9, mine) == 8
        assert leave(9, mine, account="somebody else") == 8
        # The application's is one for all.
        assert leave(5) + leave(5, account="somebody else") == 8

    def test_the_tighter_of_two_limits_decides(self) -> None:
        both = [LIMIT, RateLimit(amount=3, window_s=60)]
        waits = [
            pacing.take(slug="acme", account="x", limits=both, params={}, now=NOW)
            for _ in range(4)
        ]
        assert waits[:3] == [None] * 3
        assert waits[3] is not None
        assert waits[3] <= 60

    def test_a_call_takes_what_it_costs(self) -> None:
        days = RateLimit(amount=100, window_s=3600, each="account", cost=days_asked)
        month = {"start_date": "2026-07-01", "end_date": "2026-07-28"}
        costs = [
            pacing.take(slug="terra", account="x", limits=[days], params=month, now=NOW)
            for _ in range(4)
        ]
        assert costs[:3] == [None] * 3
        assert costs[3] is not None
        # 84 days are taken: a week still fits, and what asks for no days is free.
        assert take(days) is None
        week = {"start_date": "2026-07-01", "end_date": "2026-07-07"}
        assert (
            pacing.take(slug="terra", account="x", limits=[days], params=week, now=NOW)
            is None
        )

    def test_a_call_larger_than_the_limit_gets_all_of_it(self) -> None:
        days = RateLimit(amount=10, window_s=3600, cost=days_asked)
        year = {"start_date": "2025-07-01", "end_date": "2026-07-01"}
        assert take(days, **year) is None
        assert take(days, start_date="2026-07-01", end_date="2026-07-01") is not None

    def test_an_installation_may_have_more_or_less(self, settings: Settings) -> None:
        settings.VENDOR_LIMIT_FACTOR = 0.5
        assert leave(9) == 4

    def test_an_account_that_is_held_is_left_alone_by_all(self) -> None:
        pacing.hold(slug="acme", account="someone", seconds=3000, now=NOW)
        pacing.forget()  # as another process
        wait = take()
        assert wait is not None
        assert wait == 3000
        assert (
            pacing.take(
                slug="acme", account="someone", limits=[], params={}, now=NOW + HOUR
            )
            is None
        )
        assert take(account="somebody else") is None

    def test_an_application_that_is_held_is_left_alone_by_all(self) -> None:
        pacing.hold(slug="acme", account=None, seconds=3000, now=NOW)
        pacing.forget()
        assert take()
        assert take(account="somebody else")

    def test_a_wiped_redis_costs_a_window_and_nothing_else(self) -> None:
        assert leave(9) == 8
        nudges.connect().flushall()
        assert leave(9) == 8


class TestAlone:
    """REDIS_URL of the tests' settings refuses connections."""

    def test_each_process_keeps_to_its_share(self) -> None:
        assert together(40, redis_url="redis://127.0.0.1:1/0") == [10, 10]

    def test_the_smallest_share_is_one(self) -> None:
        assert leave(3, RateLimit(amount=2, window_s=60)) == 1

    def test_a_hold_holds_here(self) -> None:
        pacing.hold(slug="acme", account="someone", seconds=3000, now=NOW)
        wait = take()
        assert wait == 3000
        assert take(account="somebody else") is None

    def test_a_frozen_redis_is_waited_for_once(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
            callers: list[socket.socket] = []
            threading.Thread(
                target=_accept, args=(server, callers), daemon=True
            ).start()
            assert leave(10) == 2
            assert len(callers) == 1
            callers[0].close()

    @pytest.mark.redis
    def test_a_redis_that_comes_back_is_asked_again(
        self,
        settings: Settings,
        own_valkey: EmbeddedValkey,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(pacing, "_ALONE_S", 0.0)
        settings.REDIS_URL = own_valkey.url
        assert leave(3) == 3
        own_valkey.kill9()
        # Its own share, whatever was taken before.
        assert leave(3) == 2
        own_valkey.start()
        assert leave(9) == 8


def _accept(server: socket.socket, callers: list[socket.socket]) -> None:
    while True:
        try:
            callers.append(server.accept()[0])
        except OSError:
            return


def test_days_are_counted_with_both_ends() -> None:
    assert days_asked({"start_date": "2026-07-01", "end_date": "2026-07-01"}) == 1
    assert days_asked({"start_date": "2026-07-02", "end_date": "2026-07-01"}) == 0
    assert days_asked({"start_date": "2026-07-02"}) == 0


def test_the_vendors_limits_are_those_that_they_publish() -> None:
    found = {}
    for slug in ("oura", "whoop", "terra"):
        spec = get_adapter(slug).api
        assert spec is not None
        found[slug] = [(x.amount, x.window_s, x.each) for x in spec.limits]
    assert found == {
        "oura": [(5000, 300, "application")],
        "whoop": [(100, 60, "application"), (10_000, 86_400, "application")],
        "terra": [(6000, 3600, "account")],
    }


@pytest.mark.redis
class TestCalls:
    """Over real HTTP, with the fake vendors."""

    @pytest.fixture
    def vendors(
        self, settings: Settings, transactional_db: None, redis_url: str
    ) -> Iterator[Vendors]:
        settings.REDIS_URL = redis_url
        with running_fakes() as (url, world):
            known = dict(settings.AUREN_VENDORS)
            for slug in ("oura", "whoop"):
                known[slug] = {**known[slug], "api_base": f"{url}/{slug}"}
            settings.AUREN_VENDORS = known
            yield Vendors(world=world)

    def notify(self, vendors: Vendors, count: int, vendor: str = "whoop") -> None:
        for ago in range(count):
            if vendor == "whoop":
                vendors.webhook("sleep", vendors.band(ago), vendor="whoop")
            else:
                vendors.webhook("daily_sleep", vendors.score(ago))

    def test_what_the_limit_leaves_no_room_for_is_not_asked_and_comes_later(
        self, vendors: Vendors, settings: Settings
    ) -> None:
        settings.VENDOR_LIMIT_FACTOR = 0.05
        vendors.connect("whoop")
        self.notify(vendors, 8)
        vendors.run()
        asked = vendors.world.vendors["whoop"].requests
        assert sum(asked.values()) == 5
        rows = WebhookDelivery.objects
        assert rows.filter(status="processed").count() == 5
        waiting = rows.filter(status="retrying", error_code="vendor_unavailable")
        assert waiting.count() == 3
        assert "leave no room" in waiting[0].error
        for row in waiting:
            assert row.next_attempt_at is not None
            assert vendors.now() < row.next_attempt_at <= vendors.now() + HOUR
        # The circuit learnt nothing bad of it.
        assert get_breaker("vendor:whoop").snapshot().state == "closed"
        nudges.connect().flushall()
        vendors.shift += HOUR
        vendors.run()
        assert rows.filter(status="processed").count() == 8

    def test_a_429_holds_whom_it_is_about_in_every_process(
        self, vendors: Vendors
    ) -> None:
        vendors.connect("oura")
        vendors.fault("429", path="/daily_sleep", times=1, seconds=600)
        self.notify(vendors, 1, "oura")
        vendors.run()
        assert WebhookDelivery.objects.get().status == "retrying"
        pacing.forget()  # as another process
        # The fake vendor says that the limit is the application's.
        now = vendors.now()
        assert pacing.take(slug="oura", account="ring-2", limits=[], params={}, now=now)
        assert not pacing.take(
            slug="whoop", account="4711", limits=[], params={}, now=now
        )

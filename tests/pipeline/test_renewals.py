"""Renewals that go wrong: asked for once all the same, and never lost without a word."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from celery.signals import worker_process_shutdown
from django.db import OperationalError

import auren.celery  # noqa: F401 - connects what workers do at their end
from biometrics.connections import client, grants, keeping, refresh, tokens
from biometrics.connections.grants import NewTokens, RefreshClaim
from biometrics.errors import VendorError, VendorRefusedError, VendorUnavailableError
from biometrics.models import VendorConnection
from biometrics.vendors.registry import get_adapter
from tests.pipeline.notified import DOCUMENT, connect, notify, run
from tests.pipeline.vendor_server import VendorServer
from tests.pipeline.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_breakers"),
]
_WAIT_S = 20


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


def refused(server: VendorServer, _: pytest.MonkeyPatch) -> None:
    server.refreshable = set()


def hanging(server: VendorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.refresh_delay_s = 60.0
    monkeypatch.setattr(refresh, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))


def failing(server: VendorServer, _: pytest.MonkeyPatch) -> None:
    server.refresh_status = 503


def broken(server: VendorServer, _: pytest.MonkeyPatch) -> None:
    server.refresh_cut_off = True


TROUBLES: list[tuple[Callable[..., None], type[VendorError], str]] = [
    (refused, VendorRefusedError, "needs_reconnect"),
    (hanging, VendorUnavailableError, "active"),
    (failing, VendorUnavailableError, "active"),
    (broken, VendorUnavailableError, "active"),
]


@pytest.mark.parametrize("sessions", [1, 50])
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one[0].__name__)
def test_fifty_calls_in_trouble_ask_once(
    world: World,
    vendor_server: VendorServer,
    monkeypatch: pytest.MonkeyPatch,
    sessions: int,
    trouble: tuple[Callable[..., None], type[VendorError], str],
) -> None:
    arrange, error, status = trouble
    connection = connect(world, expires_at=world.now)
    vendor_server.valid = set()
    arrange(vendor_server, monkeypatch)
    got = asyncio.run(_all_at_once(connection, world, sessions=sessions))
    assert [isinstance(one, error) for one in got] == [True] * 50
    assert len(vendor_server.tokens_asked) == 1
    assert vendor_server.calls == []
    assert VendorConnection.objects.get().status == status


def test_fifty_calls_in_one_session_renew_once(
    world: World, vendor_server: VendorServer
) -> None:
    connection = connect(world)
    vendor_server.valid = set()
    vendor_server.says("/doc/1", DOCUMENT)
    got = asyncio.run(_all_at_once(connection, world, sessions=1))
    assert [one.status for one in got] == [200] * 50
    assert len(vendor_server.tokens_asked) == 1


@pytest.mark.parametrize("sessions", [1, 50])
def test_a_token_that_is_only_prolonged_is_asked_for_once(
    world: World, vendor_server: VendorServer, sessions: int
) -> None:
    connection = connect(world, expires_at=world.now)
    vendor_server.says("/doc/1", DOCUMENT)
    vendor_server.refresh_says = b'{"access_token": "access-0", "expires_in": 3600}'
    got = asyncio.run(_all_at_once(connection, world, sessions=sessions))
    assert [one.status for one in got] == [200] * 50
    assert len(vendor_server.tokens_asked) == 1


def test_a_vendor_that_was_away_is_asked_again_after_a_pause(
    world: World, vendor_server: VendorServer
) -> None:
    connect(world)
    vendor_server.valid, vendor_server.refresh_status = set(), 503
    vendor_server.says("/doc/1", DOCUMENT)
    first, second = notify(world), notify(world)
    assert run(world, first).status == run(world, second).status == "retrying"
    vendor_server.refresh_status = 200
    world.run()
    assert len(vendor_server.tokens_asked) == 1
    world.wait(seconds=10)
    assert run(world, first).status == run(world, second).status == "processed"
    assert len(vendor_server.tokens_asked) == 2


def test_a_refusal_after_a_lost_answer_says_so(
    world: World, vendor_server: VendorServer
) -> None:
    connect(world)
    vendor_server.valid, vendor_server.refresh_cut_off = set(), True
    vendor_server.says("/doc/1", DOCUMENT)
    delivery = run(world, notify(world))
    assert delivery.status == "retrying"
    assert VendorConnection.objects.get().status == "active"
    vendor_server.valid, vendor_server.refresh_cut_off = set(), False
    world.wait(seconds=10)
    assert run(world, delivery).status == "unlinked"
    stored = VendorConnection.objects.get()
    assert stored.status == "needs_reconnect"
    assert "after the answer to an earlier renewal was lost" in stored.status_reason


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"<html>",
        b'{"access_token": 5}',
        b'{"access_token": "a\\r\\nX-More: 1"}',
        b'{"access_token": "a", "expires_in": 1e400}',
        b'{"error": []}',
        b" " * 70_000,
    ],
)
def test_nonsense_is_no_grant_and_ends_no_consent(
    world: World, vendor_server: VendorServer, answer: bytes
) -> None:
    connect(world)
    vendor_server.valid, vendor_server.refresh_says = set(), answer
    delivery = run(world, notify(world))
    assert (delivery.status, delivery.error_code) == ("retrying", "vendor_unavailable")
    stored = VendorConnection.objects.get()
    assert stored.status == "active"
    assert tokens.decrypt(stored.refresh_token or b"") == "refresh-0"


@pytest.mark.parametrize(
    "more", [b'"expires_in": 1e300', b'"scope": 5', b'"refresh_token": ["r"]']
)
def test_what_is_odd_beside_a_token_harms_it_not(
    world: World, vendor_server: VendorServer, more: bytes
) -> None:
    connect(world, expires_at=world.now)
    vendor_server.says("/doc/1", DOCUMENT)
    vendor_server.valid = {"access-1"}
    vendor_server.refresh_says = b'{"access_token": "access-1", ' + more + b"}"
    assert run(world, notify(world)).status == "processed"
    stored = VendorConnection.objects.get()
    assert tokens.decrypt(stored.access_token or b"") == "access-1"
    assert stored.token_expires_at is None


def test_an_answer_that_was_lost_to_both_sides_costs_nothing(
    world: World, vendor_server: VendorServer
) -> None:
    connect(world)
    vendor_server.valid, vendor_server.refresh_status = set(), 502
    vendor_server.says("/doc/1", DOCUMENT)
    delivery = run(world, notify(world))
    vendor_server.refresh_status = 200
    world.wait(seconds=10)
    assert run(world, delivery).status == "processed"
    assert VendorConnection.objects.get().refresh_claim is None


def test_a_database_that_hiccups_costs_no_grant(
    world: World, vendor_server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(world)
    vendor_server.valid = set()
    vendor_server.says("/doc/1", DOCUMENT)
    failures = iter([OperationalError("gone"), OperationalError("gone still")])
    monkeypatch.setattr(grants, "store_renewed", _failing(failures))
    assert run(world, notify(world)).status == "processed"
    assert next(failures, None) is None
    stored = VendorConnection.objects.get()
    assert tokens.decrypt(stored.refresh_token or b"") == "refresh-1"
    assert len(vendor_server.tokens_asked) == 1


def test_a_database_that_stays_away_gets_the_grant_once_it_is_back(
    world: World, vendor_server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(world)
    vendor_server.valid = set()
    vendor_server.says("/doc/1", DOCUMENT)
    back = threading.Event()
    store = grants.store_renewed

    def away(*, claim: RefreshClaim, new: NewTokens) -> bool:
        if not back.is_set():
            raise OperationalError("gone")
        return store(claim=claim, new=new)

    monkeypatch.setattr(grants, "store_renewed", away)
    monkeypatch.setattr(refresh, "_STORE_S", 0.3)
    delivery = run(world, notify(world))
    assert delivery.status == "retrying"
    assert VendorConnection.objects.get().status == "active"
    (keeper,) = [
        thread
        for thread in threading.enumerate()
        if thread.name == f"grant-{connection.id}"
    ]
    assert not keeper.daemon
    back.set()
    keeper.join(_WAIT_S)
    world.wait(seconds=10)
    assert run(world, delivery).status == "processed"
    assert len(vendor_server.tokens_asked) == 1


def test_a_worker_does_not_end_before_its_grants_are_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(world)
    claim = grants.claim_refresh(connection, now=world.now)
    assert claim is not None
    failures = iter([OperationalError("gone"), OperationalError("gone still")])
    monkeypatch.setattr(grants, "store_renewed", _failing(failures))
    keeping.keep(claim=claim, new=NewTokens(access_token="a", refresh_token="r"))
    worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
    connection.refresh_from_db()
    assert tokens.decrypt(connection.refresh_token or b"") == "r"


def test_a_grant_that_no_database_takes_is_given_up_aloud(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim = grants.claim_refresh(connect(world), now=world.now)
    assert claim is not None
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(
        grants, "store_renewed", _failing(iter([OperationalError("gone")]))
    )
    kept = keeping.keep(claim=claim, new=NewTokens(access_token="new"))
    with pytest.raises(OperationalError):
        kept.result(_WAIT_S)
    assert "grant.lost" in [entry.message for entry in caplog.records]


def test_a_renewal_that_is_cut_short_is_known_of(
    world: World, vendor_server: VendorServer
) -> None:
    connection = connect(world)
    vendor_server.refresh_delay_s = 60.0

    async def cut_short() -> None:
        async with client.open_session(now=world.clock) as session:
            api = session.api_for(
                connection=connection, adapter=get_adapter("acme-notify")
            )
            session.refresher.finish = _nothing  # type: ignore[method-assign]
            vendor_server.valid = set()
            call = asyncio.create_task(api.get("/doc/1"))
            await asyncio.to_thread(vendor_server.refreshing.wait, _WAIT_S)
            assert not call.done()

    # As when a task runs into its time limit: all that is left is cancelled.
    asyncio.run(cut_short())
    connection.refresh_from_db()
    assert connection.status == "active"
    assert grants.claim_refresh(connection, now=world.now) is None
    world.wait(seconds=grants.CLAIM_SECONDS)
    claim = grants.claim_refresh(connection, now=world.now)
    assert claim is not None
    assert claim.after_loss


def test_a_slow_holder_makes_good_what_was_refused_meanwhile(world: World) -> None:
    connection = connect(world)
    slow = grants.claim_refresh(connection, now=world.now)
    world.wait(seconds=grants.CLAIM_SECONDS)
    connection.refresh_from_db()
    quick = grants.claim_refresh(connection, now=world.now)
    assert slow is not None
    assert quick is not None
    assert grants.mark_needs_reconnect(stored=quick.stored, reason="refused (400)")
    new = NewTokens(access_token="late", refresh_token="late-too")
    assert grants.store_renewed(claim=slow, new=new)
    connection.refresh_from_db()
    assert (connection.status, connection.status_reason) == ("active", "")
    assert tokens.decrypt(connection.refresh_token or b"") == "late-too"


async def _all_at_once(
    connection: VendorConnection, world: World, *, sessions: int
) -> list[Any]:
    """Make fifty calls; sessions share nothing but the database, like processes."""

    async def calls() -> list[Any]:
        async with client.open_session(now=world.clock) as session:
            api = session.api_for(
                connection=connection, adapter=get_adapter("acme-notify")
            )
            wanted = [api.get("/doc/1") for _ in range(50 // sessions)]
            return list(await asyncio.gather(*wanted, return_exceptions=True))

    found = await asyncio.gather(*(calls() for _ in range(sessions)))
    return [one for some in found for one in some]


async def _nothing() -> None:
    """Wait for no renewal."""


def _failing(failures: Any) -> Callable[..., bool]:
    """Return `store_renewed` as it is while the database fails in these ways."""
    store = grants.store_renewed

    def failing_store(*, claim: RefreshClaim, new: NewTokens) -> bool:
        error = next(failures, None)
        if error is not None:
            raise error
        return store(claim=claim, new=new)

    return failing_store

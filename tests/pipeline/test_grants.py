"""Grants: encrypted, renewed once whoever asks, given up when the consent is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from biometrics.connections import client, grants, registry, tokens
from biometrics.errors import VendorRefusedError, VendorUnavailableError
from biometrics.models import VendorConnection
from biometrics.vendors.registry import get_adapter
from tests.pipeline.notified import DOCUMENT, connect, notify, run
from tests.pipeline.vendor_server import Planned, VendorServer
from tests.pipeline.world import World, record, says, states

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_breakers"),
]


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


class TestGrants:
    def test_tokens_lie_encrypted(self, world: World) -> None:
        stored = bytes(connect(world).access_token or b"")
        assert b"access-0" not in stored
        assert tokens.decrypt(stored) == "access-0"

    def test_many_fetches_renew_a_worn_out_token_once(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world, expires_at=world.now + timedelta(seconds=10))
        vendor_server.valid = set()
        for n in range(50):
            vendor_server.says(f"/doc/{n}", says(record(f"r{n}")))
            notify(world, f"/doc/{n}")
        world.run()
        assert states() == {"processed": 50}
        (asked,) = vendor_server.tokens_asked
        assert asked == {
            "grant_type": "refresh_token",
            "refresh_token": "refresh-0",
            "client_id": "bridge",
            "client_secret": "bridge-secret",
            "scope": "offline",
        }
        stored = VendorConnection.objects.get()
        assert tokens.decrypt(stored.access_token or b"") == "access-1"
        assert tokens.decrypt(stored.refresh_token or b"") == "refresh-1"
        assert stored.token_expires_at == world.now + timedelta(hours=1)

    def test_a_token_that_died_early_is_renewed(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.valid = set()
        vendor_server.says("/doc/1", DOCUMENT)
        assert run(world, notify(world)).status == "processed"
        assert vendor_server.calls == ["/doc/1", "/doc/1"]

    def test_a_lost_consent_waits_for_the_person(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.valid, vendor_server.refreshable = set(), set()
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("unlinked", "needs_reconnect")
        connection = VendorConnection.objects.get()
        assert connection.status == "needs_reconnect"
        assert "400" in connection.status_reason
        asked = len(vendor_server.tokens_asked)
        other = run(world, notify(world))
        assert other.status == "unlinked"
        assert len(vendor_server.tokens_asked) == asked
        vendor_server.valid = {"access-new"}
        connect(world, access_token="access-new", refresh_token="refresh-new")
        world.run()
        assert states() == {"processed": 2}

    def test_scopes_that_are_only_said_back_withdraw_nothing(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world, expires_at=world.now)
        VendorConnection.objects.update(scopes="read:sleep read:workout offline")
        vendor_server.scope = "offline"
        vendor_server.says("/doc/1", DOCUMENT)
        assert run(world, notify(world)).status == "processed"
        stored = VendorConnection.objects.get()
        assert stored.scopes == "read:sleep read:workout offline"
        world.wait(hours=1)
        vendor_server.scope = "read:sleep offline"
        assert run(world, notify(world)).status == "processed"
        stored.refresh_from_db()
        assert stored.scopes == "read:sleep offline"

    def test_an_answer_in_two_pieces_loses_no_token(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world, expires_at=world.now)
        vendor_server.valid = set()
        vendor_server.refresh_in_pieces, vendor_server.refresh_delay_s = True, 0.3
        vendor_server.says("/doc/1", DOCUMENT)
        assert run(world, notify(world)).status == "processed"
        stored = VendorConnection.objects.get()
        assert tokens.decrypt(stored.refresh_token or b"") == "refresh-1"
        assert len(vendor_server.tokens_asked) == 1

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (302, None),
            (403, None),
            (405, None),
            (422, {"error": "unknown"}),
            (400, {"error": "invalid_client"}),
            (401, {"error": "unauthorized_client"}),
        ],
    )
    def test_what_a_person_cannot_mend_ends_no_consent(
        self, world: World, vendor_server: VendorServer, status: int, said: object
    ) -> None:
        connect(world)
        vendor_server.valid, vendor_server.refresh_status = set(), status
        vendor_server.refresh_body = said
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        assert delivery.status == "retrying"
        assert VendorConnection.objects.get().status == "active"
        vendor_server.refresh_status = 200
        world.wait(seconds=10)
        assert run(world, delivery).status == "processed"

    def test_a_token_endpoint_that_is_away_loses_nothing(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.valid, vendor_server.refresh_status = set(), 503
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        assert delivery.status == "retrying"
        assert VendorConnection.objects.get().status == "active"
        vendor_server.refresh_status = 200
        world.wait(seconds=10)
        assert run(world, delivery).status == "processed"

    def test_two_processes_spend_a_refresh_token_once(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connection = connect(world, expires_at=world.now)
        vendor_server.valid = set()
        vendor_server.refresh_delay_s = 0.3
        vendor_server.says("/doc/1", DOCUMENT)

        async def both() -> list[int]:
            # Two sessions share nothing but the database, like two processes.
            answers = await asyncio.gather(
                _get(connection, world), _get(connection, world)
            )
            return [answer.status for answer in answers]

        assert asyncio.run(both()) == [200, 200]
        assert len(vendor_server.tokens_asked) == 1

    def test_a_renewal_outlives_the_call_that_wanted_it(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connection = connect(world, expires_at=world.now)
        vendor_server.refresh_delay_s = 0.3

        async def impatient() -> None:
            async with client.open_session(now=world.clock) as session:
                api = session.api_for(
                    connection=connection, adapter=get_adapter("acme-notify")
                )
                call = asyncio.create_task(_call(api))
                await asyncio.to_thread(vendor_server.refreshing.wait, 5)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

        asyncio.run(impatient())
        stored = VendorConnection.objects.get()
        assert tokens.decrypt(stored.refresh_token or b"") == "refresh-1"

    def test_a_dead_process_does_not_hold_the_claim_for_ever(
        self, world: World
    ) -> None:
        connection = connect(world)
        assert grants.claim_refresh(connection, now=world.now) is not None
        connection.refresh_from_db()
        assert grants.claim_refresh(connection, now=world.now) is None
        world.wait(seconds=grants.CLAIM_SECONDS)
        claim = grants.claim_refresh(connection, now=world.now)
        assert claim is not None
        assert claim.after_loss

    def test_a_newer_consent_is_not_overwritten(self, world: World) -> None:
        connection = connect(world)
        claim = grants.claim_refresh(connection, now=world.now)
        assert claim is not None
        connect(world, access_token="consented", refresh_token="consented-too")
        new = grants.NewTokens(access_token="late", refresh_token="late-too")
        assert not grants.store_renewed(claim=claim, new=new)
        assert not grants.mark_needs_reconnect(stored=claim.stored, reason="late")
        stored = VendorConnection.objects.get()
        assert tokens.decrypt(stored.access_token or b"") == "consented"
        assert stored.status == "active"

    def test_a_refusal_does_not_end_a_consent_that_came_meanwhile(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.valid, vendor_server.refreshable = set(), set()
        vendor_server.says("/doc/1", DOCUMENT)

        def consent() -> None:
            connect(world, access_token="consented", refresh_token="consented-too")
            vendor_server.valid = {"consented"}
            connections.close_all()

        vendor_server.on_refresh = consent
        delivery = run(world, notify(world))
        stored = VendorConnection.objects.get()
        assert (stored.status, stored.status_reason) == ("active", "")
        assert run(world, delivery).status == "processed"

    def test_a_revoked_connection_is_not_called(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connection = registry.revoke(
            connection_id=connect(world).id, reason="the person left"
        )
        with pytest.raises(VendorRefusedError) as refused:
            asyncio.run(_get(connection, world))
        assert refused.value.permanent
        assert vendor_server.calls == []
        assert connection.access_token is None

    def test_an_unreachable_vendor_is_unavailable(
        self, world: World, vendor_server: VendorServer, settings: Settings
    ) -> None:
        connection = connect(world)
        settings.AUREN_VENDORS["acme-notify"]["api_base"] = "http://127.0.0.1:1"
        with pytest.raises(VendorUnavailableError):
            asyncio.run(_get(connection, world))


async def _get(connection: VendorConnection, world: World) -> Any:
    async with client.open_session(now=world.clock) as session:
        adapter = get_adapter("acme-notify")
        return await _call(session.api_for(connection=connection, adapter=adapter))


async def _call(api: Any) -> Any:
    return await api.get("/doc/1")


def test_no_more_connections_than_the_setting_says(
    world: World, vendor_server: VendorServer, settings: Settings
) -> None:
    settings.AIOHTTP_CONNECTOR_LIMIT = 3
    for n in range(12):
        document = orjson.dumps(says(record(f"r{n}")))
        vendor_server.plan(f"/doc/{n}", Planned(body=document, delay_s=0.1))
        notify(world, f"/doc/{n}")
    connect(world)
    world.run()
    assert states() == {"processed": 12}
    assert vendor_server.most_at_once == 3


def test_fifty_sessions_renew_once(world: World, vendor_server: VendorServer) -> None:
    connection = connect(world, expires_at=world.now)
    vendor_server.valid = set()
    vendor_server.refresh_delay_s = 0.3
    vendor_server.says("/doc/1", DOCUMENT)

    async def all_at_once() -> list[int]:
        # Each has its own pool and memory; only the database is shared.
        answers = await asyncio.gather(*(_get(connection, world) for _ in range(50)))
        return [answer.status for answer in answers]

    assert asyncio.run(all_at_once()) == [200] * 50
    assert len(vendor_server.tokens_asked) == 1

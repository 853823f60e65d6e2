"""Step 4 over real HTTP: documents, and everything that keeps them from coming."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings

from biometrics.connections import client, grants, registry, tokens
from biometrics.connections.registry import add_connection
from biometrics.errors import VendorRefusedError, VendorUnavailableError
from biometrics.models import (
    BiometricEvent,
    DeliveryDocument,
    OutboxMessage,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.vendors.registry import get_adapter
from tests.pipeline.vendor_server import Planned, VendorServer
from tests.pipeline.world import World, record, says, sent, states, value

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_breakers"),
]

DOCUMENT = says(record(readings={"steps": 7}))


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


def connect(world: World, **arguments: Any) -> VendorConnection:
    return add_connection(
        **{
            "vendor": "acme-notify",
            "account_id": "someone",
            "label": "Ada",
            "access_token": "access-0",
            "refresh_token": "refresh-0",
            "expires_at": world.now + timedelta(hours=1),
            **arguments,
        }
    )


def notify(world: World, path: str | None = "/doc/1") -> WebhookDelivery:
    said = {**record(), "fetch": path} if path else says(record())
    return world.store(said, vendor="acme-notify")


def run(world: World, delivery: WebhookDelivery) -> WebhookDelivery:
    world.run()
    delivery.refresh_from_db()
    return delivery


class TestDocuments:
    def test_a_notification_becomes_what_its_document_says(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connection = connect(world)
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        assert delivery.status == "processed", delivery.error
        assert vendor_server.calls == ["/doc/1"]
        assert BiometricEvent.objects.get().subject == connection.subject
        kept = DeliveryDocument.objects.get()
        assert (kept.delivery, kept.status) == (delivery, 200)
        assert kept.fetched_at == world.now

    def test_a_whole_batch_is_fetched_at_once(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        for n in range(30):
            body = says(record(f"r{n}"))
            vendor_server.plan(f"/doc/{n}", Planned(body=_json(body), delay_s=0.2))
            notify(world, f"/doc/{n}")
        started = time.monotonic()
        world.run()
        elapsed = time.monotonic() - started
        assert states() == {"processed": 30}
        assert elapsed < 3
        ids = [value(message)["record"]["id"] for message in sent()]
        assert ids == [f"r{n}" for n in range(30)]

    def test_a_missing_document_is_the_adapters_to_judge(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        run(world, notify(world, "/doc/gone"))
        assert BiometricEvent.objects.get().action == "deleted"

    def test_a_deletion_asks_nobody(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        VendorConnection.objects.update(status="needs_reconnect")
        assert run(world, notify(world, None)).status == "processed"
        assert vendor_server.calls == []

    def test_what_was_fetched_is_not_fetched_again(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        WebhookDelivery.objects.update(status="pending")
        assert run(world, delivery).status == "processed"
        assert vendor_server.calls == ["/doc/1"]
        assert len(sent()) == 1
        assert DeliveryDocument.objects.count() == 1

    def test_pushed_data_does_not_wait_for_a_slow_vendor(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.plan("/doc/1", Planned(body=_json(DOCUMENT), delay_s=0.3))
        slow = notify(world)
        pushed = world.store(says(record("pushed")))
        WebhookDelivery.objects.filter(id=pushed.id).update(shard=slow.shard)
        world.run()
        ids = [value(message)["record"]["id"] for message in sent()]
        assert ids == ["pushed", "r1"]

    def test_without_a_connection_it_waits_for_one(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        vendor_server.says("/doc/1", DOCUMENT)
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("unlinked", "unlinked")
        connect(world)
        assert run(world, delivery).status == "processed"


class TestTrouble:
    @pytest.mark.parametrize(
        "trouble",
        [
            Planned(status=500),
            Planned(status=503, headers={"Retry-After": "7"}),
            Planned(status=429, headers={"Retry-After": "7"}),
            Planned(cut_off=True),
        ],
        ids=["500", "503", "429", "cut off"],
    )
    def test_it_is_tried_again_later(
        self, world: World, vendor_server: VendorServer, trouble: Planned
    ) -> None:
        connect(world)
        vendor_server.plan("/doc/1", trouble, Planned(body=_json(DOCUMENT)))
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == (
            "retrying",
            "vendor_unavailable",
        )
        assert delivery.attempts == 1
        wait = _wait(delivery, world.now)
        assert 7 <= wait <= 9 if trouble.headers else 5 <= wait <= 7
        assert run(world, delivery).status == "retrying"
        world.wait(seconds=10)
        assert run(world, delivery).status == "processed"

    def test_waits_grow(self, world: World, vendor_server: VendorServer) -> None:
        connect(world)
        vendor_server.plan("/doc/1", Planned(status=500))
        delivery, waits = notify(world), []
        for _ in range(4):
            run(world, delivery)
            waits.append(_wait(delivery, world.now))
            world.wait(seconds=waits[-1] + 0.1)
        assert all(later > 1.5 * before for before, later in pairwise(waits))

    def test_a_slow_vendor_is_given_up_in_time(
        self, world: World, vendor_server: VendorServer, settings: Settings
    ) -> None:
        settings.VENDOR_TIMEOUT_S = 0.2
        connect(world)
        vendor_server.plan("/doc/1", Planned(delay_s=5))
        delivery = run(world, notify(world))
        assert delivery.status == "retrying"
        assert "slow" in delivery.error

    def test_a_refusal_of_one_document_leaves_the_connection(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        vendor_server.plan("/doc/1", Planned(status=403))
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("parked", "refused")
        assert "scope" in delivery.error
        assert VendorConnection.objects.get().status == "active"

    def test_what_is_not_ready_yet_is_asked_for_again_for_a_day(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world, expires_at=world.now + timedelta(days=9))
        vendor_server.plan("/doc/1", Planned(body=b"not yet"))
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("retrying", "not_yet")
        assert _wait(delivery, world.now) >= 60
        world.wait(hours=25)
        delivery = run(world, delivery)
        assert (delivery.status, delivery.error_code) == ("parked", "incomplete")

    def test_an_open_circuit_spares_the_vendor(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        for n in range(5):
            vendor_server.plan(f"/doc/{n}", Planned(status=500))
            run(world, notify(world, f"/doc/{n}"))
        asked = len(vendor_server.calls)
        delivery = run(world, notify(world, "/doc/9"))
        assert len(vendor_server.calls) == asked
        assert delivery.status == "retrying"
        assert 30 < _wait(delivery, world.now) <= 80

    def test_one_persons_limit_does_not_open_the_circuit(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        for n in range(7):
            vendor_server.plan(f"/doc/{n}", Planned(status=429))
            run(world, notify(world, f"/doc/{n}"))
        vendor_server.says("/doc/9", DOCUMENT)
        assert run(world, notify(world, "/doc/9")).status == "processed"

    def test_a_missing_key_is_named(
        self, world: World, vendor_server: VendorServer, settings: Settings
    ) -> None:
        connect(world)
        settings.AUREN_TOKEN_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("retrying", "configuration")
        assert "AUREN_TOKEN_KEYS" in delivery.error


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
        first = grants.claim_refresh(connection_id=connection.id, now=world.now)
        assert first is not None
        assert grants.claim_refresh(connection_id=connection.id, now=world.now) is None
        world.wait(seconds=grants.CLAIM_SECONDS)
        assert grants.claim_refresh(connection_id=connection.id, now=world.now)

    def test_a_newer_consent_is_not_overwritten(self, world: World) -> None:
        connection = connect(world)
        claim = grants.claim_refresh(connection_id=connection.id, now=world.now)
        assert claim is not None
        connect(world, access_token="consented", refresh_token="consented-too")
        new = grants.NewTokens(access_token="late", refresh_token="late-too")
        assert not grants.store_renewed(claim=claim, new=new)
        assert not grants.mark_needs_reconnect(
            connection_id=connection.id, reason="late", spent=claim.stored_token
        )
        stored = VendorConnection.objects.get()
        assert tokens.decrypt(stored.access_token or b"") == "consented"
        assert stored.status == "active"

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


def test_no_message_is_lost_when_the_vendor_comes_back(
    world: World, vendor_server: VendorServer
) -> None:
    connect(world)
    # Fewer failures than open the circuit, whose clock is not the test's.
    for n in range(4):
        vendor_server.plan(
            f"/doc/{n}",
            Planned(status=500),
            Planned(body=_json(says(record(f"r{n}")))),
        )
        notify(world, f"/doc/{n}")
    world.run()
    assert states() == {"retrying": 4}
    world.wait(seconds=10)
    world.run()
    assert states() == {"processed": 4}
    assert len(OutboxMessage.objects.all()) == 4


async def _get(connection: VendorConnection, world: World) -> Any:
    async with client.open_session(now=world.clock) as session:
        adapter = get_adapter("acme-notify")
        return await _call(session.api_for(connection=connection, adapter=adapter))


async def _call(api: Any) -> Any:
    return await api.get("/doc/1")


def _json(body: object) -> bytes:
    return orjson.dumps(body)


def _wait(delivery: WebhookDelivery, now: datetime) -> float:
    assert delivery.next_attempt_at is not None
    return (delivery.next_attempt_at - now).total_seconds()

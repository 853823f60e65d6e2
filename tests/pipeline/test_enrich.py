"""Step 4 over real HTTP: documents, and everything that keeps them from coming."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from pytest_django.fixtures import Settings

from biometrics.models import (
    BiometricEvent,
    DeliveryDocument,
    OutboxMessage,
    VendorConnection,
    WebhookDelivery,
)
from tests.pipeline.acme import AcmeNotify
from tests.pipeline.notified import DOCUMENT, connect, notify, run
from tests.pipeline.vendor_server import Planned, VendorServer
from tests.pipeline.world import World, record, says, sent, states, value

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_breakers"),
]


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


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

    def test_a_task_whose_time_is_up_parks_nobody(
        self,
        world: World,
        vendor_server: VendorServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connect(world)
        vendor_server.says("/doc/1", DOCUMENT)
        notify(world)

        async def up(*_: object) -> None:
            raise SoftTimeLimitExceeded

        with monkeypatch.context() as patched:
            patched.setattr(AcmeNotify, "fetch", up)
            with pytest.raises(SoftTimeLimitExceeded):
                world.run()
        assert states() == {"pending": 1}
        world.run()
        assert states() == {"processed": 1}

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

    @pytest.mark.parametrize("status", [302, 400, 422])
    def test_what_no_consent_can_mend_asks_for_none(
        self, world: World, vendor_server: VendorServer, status: int
    ) -> None:
        connect(world)
        vendor_server.plan("/doc/1", Planned(status=status))
        delivery = run(world, notify(world))
        assert (delivery.status, delivery.error_code) == ("parked", "refused")
        assert str(status) in delivery.error
        assert "Grant the scope" not in delivery.error
        assert "vendor's documentation" in delivery.error

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
        # The circuit's 60 s less its jitter and what passed, spread once by a quarter.
        assert 30 < _wait(delivery, world.now) <= 75

    def test_one_persons_limit_does_not_open_the_circuit(
        self, world: World, vendor_server: VendorServer
    ) -> None:
        connect(world)
        for n in range(7):
            vendor_server.plan(f"/doc/{n}", Planned(status=429))
            run(world, notify(world, f"/doc/{n}"))
            # Each time after this person has been left alone for a while.
            world.wait(seconds=10)
        assert len(vendor_server.calls) >= 7
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


def _json(body: object) -> bytes:
    return orjson.dumps(body)


def _wait(delivery: WebhookDelivery, now: datetime) -> float:
    assert delivery.next_attempt_at is not None
    return (delivery.next_attempt_at - now).total_seconds()

"""A refused message is made anew in its place; the person's order stays as it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from pytest_django.fixtures import Settings

from biometrics import mending, outbox
from biometrics.audit import ReasonMissingError
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    ParkedQueue,
    WebhookDelivery,
)
from biometrics.outbox import OutboxError
from biometrics.publishing.choosing import Limits
from biometrics.publishing.envelope import connection_message
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from biometrics.publishing.relay import Relay
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery
from tests import wire
from tests.pipeline.acme import Acme
from tests.pipeline.world import World, night, record, says, sent, states, value
from tests.publishing.world import NoBreaker

TOPIC = "acme-events"
ALERTS = "biometric-alerts"
START = "2026-11-24T00:00:00+00:00"


@pytest.fixture(autouse=True)
def _one_shard(settings: Settings) -> None:
    settings.SHARDS = 1


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    found: list[set[int]] = []
    monkeypatch.setattr("biometrics.nudges.nudge_processing", found.append)
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", found.append)
    return found


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(max_bytes=50_000)


@pytest.fixture
def publish(world: World, broker: MemoryBroker) -> Callable[[], None]:
    """Publish what can be published, as workers would."""
    relay = Relay(
        cluster=MemoryCluster(broker),
        breaker=NoBreaker(),
        limits=Limits(messages=500, value_bytes=2**25),
        topics=frozenset({TOPIC, ALERTS}),
        transactional=True,
    )

    def work() -> None:
        with wire.watch():
            for _ in range(30):
                turn = relay.publish(
                    shard=0, now=world.clock, deadline=time.monotonic() + 5
                )
                if turn.state == "idle":
                    return
                world.wait(seconds=2)
        pytest.fail("not done after 30 turns")

    return work


def long_record(record_id: str, count: int = 20_000) -> dict[str, Any]:
    """Return a record whose series needs about 80 kB."""
    series = {
        "metric": "heart_rate",
        "start": START,
        "interval_s": 1.0,
        "values": [float(50 + i % 40) for i in range(count)],
    }
    return record(record_id, series=[series], zone="+00:00")


@pytest.fixture
def better_mapping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a way to let the vendor's mapping learn that its values come in pairs."""
    before = Acme.understand

    def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
        said = before(self, delivery)
        doubled = [
            replace(
                one,
                readings=tuple(replace(r, value=r.value * 2) for r in one.readings),
            )
            for one in said.records
        ]
        return replace(said, records=tuple(doubled))

    return lambda: monkeypatch.setattr(Acme, "understand", understand)


def spoil(row: OutboxMessage, **changes: Any) -> None:
    OutboxMessage.objects.filter(pk=row.pk).update(**changes)


def fix(world: World, **given: Any) -> mending.Fixed:
    subject = ParkedQueue.objects.get().subject
    said = {"actor": "eva", "reason": "mended", "now": world.now, **given}
    return mending.fix(subject=subject, **said)


def seen(broker: MemoryBroker, topic: str = TOPIC) -> list[Any]:
    return [orjson.loads(one.value) for one in broker.read(topic)]


def record_ids(broker: MemoryBroker) -> list[str]:
    return [one["record"]["id"] for one in seen(broker)]


class TestTooLarge:
    @pytest.fixture
    def stuck(self, world: World, publish: Callable[[], None]) -> None:
        """Let a record be stuck that no broker of today takes, with two behind it."""
        world.carry(says(record("before")))
        world.carry(says(long_record("long")))
        world.carry(says(record("after")))
        world.carry(says(record("last")))
        publish()
        assert ParkedQueue.objects.get().code == "too_large"

    @pytest.mark.usefixtures("stuck")
    def test_it_is_cut_into_parts_before_all_that_waits(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        settings: Settings,
    ) -> None:
        settings.KAFKA_MAX_EVENT_BYTES = 40_000
        assert fix(world) == mending.Fixed(due=4)
        publish()
        assert record_ids(broker) == ["before", "long", "long", "after", "last"]
        parts = [one for one in seen(broker) if one["record"]["id"] == "long"]
        assert [one["part"] for one in parts] == [
            {"index": n, "count": len(parts)} for n in range(1, len(parts) + 1)
        ]
        values = [v for one in parts for v in one["series"][0]["values"]]
        assert values == [50 + i % 40 for i in range(20_000)]
        numbers = [dict(one.headers)["ce_sequence"] for one in broker.read(TOPIC)]
        assert numbers == sorted(numbers)
        ids = [dict(one.headers)["ce_id"] for one in broker.read(TOPIC)]
        assert len(set(ids)) == len(ids)
        # The ledger misses what is lost of them from now on.
        assert BiometricEvent.objects.get(record_id="long").parts == len(parts)

    @pytest.mark.usefixtures("stuck")
    def test_without_a_lower_limit_it_is_parked_again(
        self, world: World, publish: Callable[[], None], broker: MemoryBroker
    ) -> None:
        before = list(OutboxMessage.objects.order_by("id").values_list("id", "ce_id"))
        fix(world)
        publish()
        assert record_ids(broker) == ["before"]
        assert ParkedQueue.objects.get().code == "too_large"
        after = list(OutboxMessage.objects.order_by("id").values_list("id", "ce_id"))
        assert after == before

    def test_what_was_published_in_parts_is_not_cut_in_another_way(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        settings: Settings,
    ) -> None:
        settings.KAFKA_MAX_EVENT_BYTES = 40_000
        world.carry(says(long_record("long")))
        second = sent()[1]
        broker.refuses = lambda one: (
            dict(one.headers)["ce_id"].decode() == str(second.ce_id)
        )
        publish()
        assert len(seen(broker)) == 1
        settings.KAFKA_MAX_EVENT_BYTES = 20_000
        with pytest.raises(OutboxError, match="KAFKA_MAX_EVENT_BYTES as it was"):
            fix(world)
        settings.KAFKA_MAX_EVENT_BYTES = 40_000
        spoil(second, headers={})
        broker.refuses = lambda _one: False
        fix(world)
        publish()
        assert [one["part"]["index"] for one in seen(broker)] == [1, 2]

    def test_a_part_that_was_given_up_is_not_made_again(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        settings: Settings,
    ) -> None:
        settings.KAFKA_MAX_EVENT_BYTES = 20_000
        world.carry(says(long_record("long")))
        refused = {str(one.ce_id) for one in sent()[1:3]}
        broker.refuses = lambda one: dict(one.headers)["ce_id"].decode() in refused
        publish()
        subject = ParkedQueue.objects.get().subject
        outbox.skip(subject=subject, actor="eva", reason="broken", now=world.now)
        publish()
        broker.refuses = lambda _one: False
        fix(world)
        publish()
        count = len(sent())
        assert [one["part"]["index"] for one in seen(broker)] == [
            n for n in range(1, count + 1) if n != 2
        ]


class TestWorded:
    """Messages of events, alerts and connections are worded again."""

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"value": b'{"record": {}}'}, "invalid"),
            ({"value": None}, "invalid"),
            ({"headers": {"ce_type": "x"}}, "invalid"),
            ({"topic": "mistyped"}, "bad_topic"),
        ],
    )
    def test_an_event(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        changes: dict[str, Any],
        code: str,
    ) -> None:
        world.carry(says(record("a", readings={"steps": 10.0})))
        world.carry(says(record("b")))
        first = sent()[0]
        spoil(first, **changes)
        publish()
        assert ParkedQueue.objects.get().code == code
        assert fix(world) == mending.Fixed(due=2)
        again = OutboxMessage.objects.get(pk=first.pk)
        for name in ("ce_id", "topic", "event_type", "headers"):
            assert getattr(again, name) == getattr(first, name)
        assert value(again) == value(first)
        publish()
        assert record_ids(broker) == ["a", "b"]
        assert not ParkedQueue.objects.exists()

    @pytest.fixture
    def alert(self, world: World) -> HrvAlert:
        """Raise an alert whose message is stuck."""
        world.carry(says(night("2026-11-24", 20.0)))
        raised = OutboxMessage.objects.get(topic=ALERTS)
        spoil(raised, value=b"{}")
        return HrvAlert.objects.get()

    def test_an_alert(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        alert: HrvAlert,
    ) -> None:
        publish()
        fix(world)
        publish()
        (told,) = seen(broker, ALERTS)
        assert told["alert"]["id"] == str(alert.id)
        assert told["alert"]["kind"] == "raised"
        assert told["evidence"] == alert.evidence
        (one,) = broker.read(ALERTS)
        headers = dict(one.headers)
        assert headers["priority"] == b"HIGH"
        assert not wire.objections(key=one.key, headers=headers, value=one.value)

    def test_an_alert_that_has_changed_since(
        self, world: World, publish: Callable[[], None], alert: HrvAlert
    ) -> None:
        publish()
        HrvAlert.objects.update(revision=alert.revision + 1)
        with pytest.raises(OutboxError, match="skip this one"):
            fix(world)
        assert ParkedQueue.objects.exists()

    def test_a_connection(
        self, world: World, publish: Callable[[], None], broker: MemoryBroker
    ) -> None:
        world.carry(says(record("a")))
        publish()
        subject = sent()[0].subject
        with transaction.atomic():
            outbox.append(
                messages=[
                    connection_message(
                        change="connected",
                        change_id=uuid4(),
                        subject=subject,
                        vendor="acme",
                        topic=TOPIC,
                        reason="",
                        time=world.now,
                    )
                ],
                now=world.now,
            )
        spoil(sent()[-1], topic="mistyped")
        publish()
        fix(world)
        publish()
        assert seen(broker)[-1]["connection"]["change"] == "connected"

    def test_nothing_to_word_it_from(
        self, world: World, publish: Callable[[], None]
    ) -> None:
        world.carry(says(record("a")))
        spoil(sent()[0], event=None, value=b"{}")
        publish()
        with pytest.raises(OutboxError, match="retry it or skip it"):
            fix(world)


class TestAnotherMapping:
    def test_the_delivery_is_read_again_and_a_revision_published(
        self,
        world: World,
        publish: Callable[[], None],
        broker: MemoryBroker,
        better_mapping: Callable[[], None],
    ) -> None:
        world.carry(says(record("a", readings={"steps": 10.0})))
        world.carry(says(record("b")))
        spoil(sent()[0], value=b"{}")
        publish()
        better_mapping()
        assert fix(world) == mending.Fixed(due=1, is_read_again=True)
        assert states() == {"pending": 1, "processed": 1}
        world.run()
        publish()
        assert record_ids(broker) == ["b", "a"]
        assert seen(broker)[-1]["readings"][0]["value"] == 20
        first = sent()[0]
        assert first.status == "dead"
        assert "read again" in first.error
        current = BiometricEvent.objects.get(record_id="a", status="current")
        assert current.data == seen(broker)[-1]


class TestRefusals:
    @pytest.fixture
    def stuck(self, world: World, publish: Callable[[], None]) -> OutboxMessage:
        world.carry(says(record("a")))
        spoil(sent()[0], value=b"{}")
        publish()
        return OutboxMessage.objects.get()

    def test_bytes_that_are_gone(self, world: World, stuck: OutboxMessage) -> None:
        WebhookDelivery.objects.update(body=None)
        with pytest.raises(OutboxError, match="RAW_RETENTION_DAYS"):
            fix(world)
        assert OutboxMessage.objects.get().status == "parked"

    def test_a_mapping_that_fails_today(
        self,
        world: World,
        stuck: OutboxMessage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def broken(*_: object) -> Understanding:
            raise KeyError("x")

        monkeypatch.setattr(Acme, "understand", broken)
        with pytest.raises(OutboxError, match="cannot be read today"):
            fix(world)

    def test_a_topic_that_is_still_not_declared(
        self,
        world: World,
        stuck: OutboxMessage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("biometrics.publishing.topics.declared", list)
        with pytest.raises(OutboxError, match="'acme-events', which is not declared"):
            fix(world)

    def test_an_assessment_that_still_breaks_the_schema(
        self, world: World, stuck: OutboxMessage
    ) -> None:
        event = BiometricEvent.objects.get()
        bad = {"severity": "NORMAL", "reasons": "none", "ruleset": "hrv-1"}
        BiometricEvent.objects.update(data={**event.data, "assessment": bad})
        with pytest.raises(OutboxError, match=r"at assessment\.reasons breaks"):
            fix(world)
        assert OutboxMessage.objects.get().status == "parked"

    def test_nobody_who_is_parked(self, world: World) -> None:
        with pytest.raises(OutboxError, match="Nothing of"):
            mending.fix(subject=UUID(int=7), actor="eva", reason="x", now=world.now)

    def test_a_reason_is_needed_and_kept(
        self, world: World, stuck: OutboxMessage
    ) -> None:
        with pytest.raises(ReasonMissingError):
            fix(world, reason=" ")
        assert OutboxMessage.objects.get().status == "parked"
        fix(world)
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor, entry.reason) == (
            "outbox.fix",
            "eva",
            "mended",
        )
        assert entry.detail["from_id"] == stuck.id


class TestCommand:
    def run(self, *arguments: str) -> str:
        told = StringIO()
        call_command("outbox", *arguments, stdout=told)
        return told.getvalue()

    def test_parked_says_why_and_what_next_and_fix_does_it(
        self, world: World, publish: Callable[[], None]
    ) -> None:
        world.carry(says(record("a")))
        spoil(sent()[0], value=b"{}")
        publish()
        told = self.run("parked")
        assert "invalid: Its value breaks" in told
        assert "then fix" in told
        person = str(sent()[0].subject)
        told = self.run("fix", "--subject", person, "--reason", "mended")
        assert "It is made anew; 1 messages are due now." in told
        with pytest.raises(CommandError, match="Nothing of"):
            self.run("fix", "--subject", person, "--reason", "mended")

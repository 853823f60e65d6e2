"""What operators type: topics, the outbox, draining."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from kafka.admin import KafkaAdminClient
from pytest_django.fixtures import Settings

from biometrics.models import AuditEntry, OutboxMessage, ShardLease
from biometrics.publishing import claims, relay, topics
from biometrics.publishing.producers import kafka_topics
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from tests.publishing.world import World
from tests.services import create_topic

Visible = Callable[[], dict[UUID, list[str]]]


def run(*arguments: str) -> str:
    told = StringIO()
    call_command(*arguments, stdout=told)
    return told.getvalue()


@pytest.mark.kafka
class TestTopics:
    @pytest.fixture(autouse=True)
    def _names(self, kafka: str, settings: Settings) -> None:
        """Give every test topics of its own."""
        mark = uuid.uuid4().hex[:8]
        settings.KAFKA_BOOTSTRAP_SERVERS = [kafka]
        settings.KAFKA_ALERT_TOPIC = f"alerts-{mark}"
        settings.KAFKA_PROGRESS_TOPIC = f"progress-{mark}"
        settings.SHARDS = 4

    def partitions(self, kafka: str, topic: str) -> int:
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        try:
            return len(admin.describe_topics([topic])[0]["partitions"])
        finally:
            admin.close()

    def test_missing_topics_are_created_once(
        self, kafka: str, settings: Settings
    ) -> None:
        with pytest.raises(CommandError, match="does not exist"):
            run("kafka_topics", "--check")
        assert f"{settings.KAFKA_PROGRESS_TOPIC}: created" in run("kafka_topics")
        assert "created" not in run("kafka_topics")
        assert "as they must be" in run("kafka_topics", "--check")
        assert self.partitions(kafka, settings.KAFKA_ALERT_TOPIC) == 16
        assert self.partitions(kafka, settings.KAFKA_PROGRESS_TOPIC) == 4

    def test_a_broker_that_has_not_heard_of_a_new_topic_yet_is_waited_for(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        described, asked = kafka_topics._described, itertools.count()

        def late(*args: Any) -> dict[str, Any]:
            found = dict(described(*args))
            # The first question is what is missing, the next goes to another broker.
            if next(asked) == 1:
                del found[settings.KAFKA_PROGRESS_TOPIC]
            return found

        monkeypatch.setattr(kafka_topics, "_described", late)
        assert "as they must be" in run("kafka_topics")

    def test_progress_gets_a_partition_for_each_new_shard(
        self, kafka: str, settings: Settings
    ) -> None:
        run("kafka_topics")
        settings.SHARDS = 9
        with pytest.raises(CommandError, match="SHARDS is 9"):
            run("kafka_topics", "--check")
        run("kafka_topics")
        assert self.partitions(kafka, settings.KAFKA_PROGRESS_TOPIC) == 9

    def test_partitions_of_keyed_topics_are_never_added(
        self, kafka: str, settings: Settings
    ) -> None:
        run("kafka_topics")
        settings.KAFKA_PARTITIONS = 32
        run("kafka_topics")
        assert self.partitions(kafka, settings.KAFKA_ALERT_TOPIC) == 16

    def test_a_topic_that_refuses_our_records_is_named(
        self, kafka: str, settings: Settings
    ) -> None:
        create_topic(
            kafka,
            name=settings.KAFKA_ALERT_TOPIC,
            config={"max.message.bytes": "1000"},
        )
        with pytest.raises(CommandError, match=r"max\.message\.bytes=1000"):
            run("kafka_topics")

    def test_too_few_replicas_are_named(self, settings: Settings) -> None:
        run("kafka_topics")
        settings.KAFKA_REPLICATION_FACTOR = 3
        with pytest.raises(CommandError) as caught:
            run("kafka_topics", "--check")
        assert "1 replicas" in str(caught.value)
        assert "min.insync.replicas" in str(caught.value)


def test_more_replicas_in_sync_than_needed_are_no_problem(settings: Settings) -> None:
    settings.KAFKA_REPLICATION_FACTOR = 3
    for spec in topics.required():
        for in_sync, problems in ((1, 1), (2, 0), (3, 0)):
            effective = {
                **spec.config,
                "max.message.bytes": "10000000",
                "min.insync.replicas": str(in_sync),
            }
            found = list(kafka_topics._config_problems(spec, effective))
            assert len(found) == problems, found


@pytest.mark.kafka
def test_an_absent_broker_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="KAFKA_BOOTSTRAP_SERVERS"):
        run("kafka_topics")


def test_every_vendor_declares_its_topic() -> None:
    names = {spec.name for spec in topics.declared()}
    assert names == {"biometric-events", "terra-biometric-events", "biometric-alerts"}
    assert topics.progress().name == "auren-relay-progress"


class TestOutbox:
    def parked(self, world: World) -> None:
        world.append(2)
        run("outbox", "park", "--subject", str(world.person), "--reason", "looking")

    def test_status_counts(self, world: World) -> None:
        world.append(3)
        self.parked(world)
        assert "parked\t5" in run("outbox", "status")

    def test_status_tells_of_alarms(self, world: World) -> None:
        world.append(1)
        claims.due_shards(now=world.clock())
        ShardLease.objects.filter(step="publish").update(alarm="It contradicts.")
        told = run("outbox", "status")
        assert "pending\t1" in told
        assert "oldest" in told
        assert "alarm\tshard 0\tIt contradicts." in told

    def test_parked_people_are_listed_with_the_reason(self, world: World) -> None:
        self.parked(world)
        told = run("outbox", "parked")
        assert str(world.person) in told
        assert "looking" in told

    def test_retry_and_skip(self, world: World) -> None:
        self.parked(world)
        told = run(
            "outbox", "skip", "--subject", str(world.person), "--reason", "broken"
        )
        assert "1 are due now" in told
        run("outbox", "park", "--subject", str(world.person), "--reason", "again")
        run("outbox", "retry", "--subject", str(world.person), "--reason", "mended")
        assert world.statuses() == {"dead": 1, "pending": 1}
        assert {"(command)" in entry.actor for entry in AuditEntry.objects.all()} == {
            True
        }

    def test_a_mistake_is_one_sentence(self, world: World) -> None:
        with pytest.raises(CommandError, match="parked"):
            run("outbox", "retry", "--subject", str(world.person), "--reason", "x")
        with pytest.raises(CommandError, match="no alarm"):
            run(
                *("outbox", "resume", "--shard", "0", "--open-batch", "pending"),
                *("--reason", "x"),
            )


class TestDrain:
    @pytest.fixture(autouse=True)
    def _memory(
        self, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        """Publish to memory; without Redis the breaker works by itself."""
        monkeypatch.setattr(relay, "open_cluster", lambda: MemoryCluster(broker))
        monkeypatch.setattr(relay, "_mine", relay._Mine())

    def test_everything_is_published_and_counted(
        self, world: World, visible: Visible
    ) -> None:
        world.clock.moment = timezone.now()
        world.append(30)
        assert "messages\t30" in run("drain", "--step", "publish")
        assert visible() == world.sent

    def test_nothing_to_do_is_no_error(self, world: World) -> None:
        assert run("drain") == ""

    def test_what_could_not_be_published_is_said(
        self, world: World, broker: MemoryBroker
    ) -> None:
        world.clock.moment = timezone.now()
        world.append(1)
        broker.away = True
        with pytest.raises(CommandError, match="1 messages could not be published"):
            run("drain", "--step", "publish", "--seconds", "0.3")
        assert OutboxMessage.objects.get().status == "pending"

    def test_an_alarm_does_not_hold_it_up(self, world: World) -> None:
        world.append(1)
        claims.due_shards(now=timezone.now())
        ShardLease.objects.filter(step="publish").update(alarm="It contradicts.")
        with pytest.raises(CommandError, match="outbox status"):
            run("drain", "--step", "publish")

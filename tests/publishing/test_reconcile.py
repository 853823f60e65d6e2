"""What the committed progress says, and when to stop rather than guess."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from biometrics.identity import database_id
from biometrics.models import AuditEntry, BridgeIdentity, PublishBatch, ShardLease
from biometrics.publishing.producers import Progress
from biometrics.publishing.producers.memory import MemoryBroker
from biometrics.publishing.reconcile import AlarmError, Facts, Finding, judge
from biometrics.publishing.resume import NoAlarmError, Verdict, resume
from tests.publishing.world import Death, World

Visible = Callable[[], dict[UUID, list[str]]]
MINE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def facts(*, next_seq: int, published: int, open_seq: int | None) -> Facts:
    return Facts(
        shard=0,
        database_id=MINE,
        next_seq=next_seq,
        published_seq=published,
        open_seq=open_seq,
    )


def progress(seq: int | None, database: str = MINE) -> Progress | None:
    return None if seq is None else Progress(shard=0, seq=seq, database_id=database)


@pytest.mark.parametrize(
    ("next_seq", "published", "open_seq", "seq", "finding"),
    [
        (1, 0, None, None, Finding.NOTHING),
        (2, 0, 1, None, Finding.VOID),
        (2, 0, 1, 1, Finding.PUBLISHED),
        (6, 4, 5, 4, Finding.VOID),
        (6, 4, 5, 5, Finding.PUBLISHED),
        # Numbers of void batches are not used again.
        (9, 4, 8, 4, Finding.VOID),
        (9, 4, 8, 8, Finding.PUBLISHED),
        # Found published, but its death came before the mark of the number.
        (6, 3, None, 5, Finding.NOTHING),
        # Kafka forgot, but nothing is in doubt.
        (6, 5, None, None, Finding.NOTHING),
        (6, 5, None, 2, Finding.NOTHING),
    ],
)
def test_what_became_of_the_open_batch(
    next_seq: int,
    published: int,
    open_seq: int | None,
    seq: int | None,
    finding: Finding,
) -> None:
    known = facts(next_seq=next_seq, published=published, open_seq=open_seq)
    assert judge(facts=known, progress=progress(seq)) is finding


@pytest.mark.parametrize(
    ("next_seq", "published", "open_seq", "seq", "words"),
    [
        (6, 5, None, 6, "restored from a backup"),
        (6, 5, None, 60, "restored from a backup"),
        (6, 4, 5, 6, "restored from a backup"),
        (9, 4, 5, 7, "restored from a backup"),
        (6, 4, 5, None, "gone"),
        (6, 4, 5, 3, "is 3"),
    ],
)
def test_contradictions_stop_the_shard(
    next_seq: int, published: int, open_seq: int | None, seq: int | None, words: str
) -> None:
    known = facts(next_seq=next_seq, published=published, open_seq=open_seq)
    with pytest.raises(AlarmError, match=words):
        judge(facts=known, progress=progress(seq))


def test_progress_of_another_database_stops_the_shard() -> None:
    known = facts(next_seq=9, published=4, open_seq=None)
    with pytest.raises(AlarmError, match=OTHER):
        judge(facts=known, progress=progress(4, OTHER))


class TestRestoredDatabase:
    """A backup knows less than Kafka: publishing again would double records."""

    def restore(self, world: World) -> None:
        """Put the database back to where it was before its last two batches."""
        world.append(1)
        world.worker().work()
        rows = list(ShardLease.objects.values())
        for _ in range(2):
            world.append(1)
            world.worker().work()
        ShardLease.objects.all().delete()
        ShardLease.objects.bulk_create(ShardLease(**row) for row in rows)

    def test_a_new_process_notices_although_the_lease_is_clean(
        self, world: World, visible: Visible
    ) -> None:
        self.restore(world)
        world.append(1)
        before = visible()
        assert world.worker().work().state == "alarm"
        assert "restored" in world.lease().alarm
        assert visible() == before
        assert world.worker().work().state == "alarm"

    def test_a_process_that_lived_through_it_notices_too(self, world: World) -> None:
        world.append(1)
        worker = world.worker()
        worker.work()
        rows = list(ShardLease.objects.values())
        world.append(1)
        worker.work()
        ShardLease.objects.all().delete()
        ShardLease.objects.bulk_create(ShardLease(**row) for row in rows)
        world.append(1)
        assert worker.work().state == "alarm"

    def test_another_database_on_the_same_cluster_is_noticed(
        self, world: World
    ) -> None:
        world.append(1)
        world.worker().work()
        BridgeIdentity.objects.update(database_id=uuid.uuid4())
        world.append(1)
        assert world.worker().work().state == "alarm"


class TestResume:
    def alarmed(self, world: World, broker: MemoryBroker) -> None:
        """Leave a batch in doubt whose progress Kafka has lost."""
        world.append(1)
        world.worker().work()
        world.append(1)
        with pytest.raises(Death):
            world.worker().dies_at("before commit").work()
        broker.progress.clear()
        world.lease_runs_out()
        assert world.worker().work().state == "alarm"

    def resume(self, world: World, verdict: Verdict = "pending") -> int:
        return resume(
            shard=0,
            open_batch=verdict,
            cluster=world.cluster,
            database_id=database_id(),
            actor="eva",
            reason="looked at the topic",
            now=world.clock(),
        )

    def test_a_batch_said_to_be_missing_is_sent(
        self, world: World, broker: MemoryBroker, visible: Visible
    ) -> None:
        self.alarmed(world, broker)
        assert self.resume(world) == 3
        assert world.worker().work().published == 1
        assert visible() == world.sent

    def test_a_batch_said_to_be_there_is_not_sent(
        self, world: World, broker: MemoryBroker, visible: Visible
    ) -> None:
        self.alarmed(world, broker)
        self.resume(world, "published")
        assert world.worker().work().state == "idle"
        assert world.statuses() == {"published": 2}
        assert visible() == {world.person: ["0"]}

    def test_the_shard_goes_on_as_if_nothing_had_been(
        self, world: World, broker: MemoryBroker, visible: Visible
    ) -> None:
        self.alarmed(world, broker)
        self.resume(world)
        world.append(2)
        with pytest.raises(Death):
            world.worker().dies_at("after commit").work()
        world.lease_runs_out()
        world.worker().work()
        assert visible() == world.sent

    def test_numbers_go_on_above_what_kafka_knows(
        self, world: World, broker: MemoryBroker
    ) -> None:
        world.append(1)
        world.worker().work()
        broker.progress[0] = Progress(shard=0, seq=90, database_id=OTHER)
        world.append(1)
        assert world.worker().work().state == "alarm"
        assert self.resume(world) == 91
        assert world.worker().work().published == 1
        assert PublishBatch.objects.latest("seq").seq == 91

    def test_it_is_written_down(self, world: World, broker: MemoryBroker) -> None:
        self.alarmed(world, broker)
        self.resume(world)
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor, entry.target) == (
            "outbox.resume",
            "eva",
            "shard 0",
        )

    def test_without_an_alarm_there_is_nothing_to_end(self, world: World) -> None:
        world.append(1)
        world.worker().work()
        with pytest.raises(NoAlarmError):
            self.resume(world)

    def test_a_failure_on_the_way_leaves_the_alarm(
        self, world: World, broker: MemoryBroker, visible: Visible
    ) -> None:
        self.alarmed(world, broker)
        broker.away = True
        with pytest.raises(Exception, match="away"):
            self.resume(world)
        assert world.lease().alarm
        broker.away = False
        world.clock.advance(timedelta(minutes=1))
        self.resume(world)
        world.worker().work()
        assert visible() == world.sent


def test_a_database_keeps_its_id(db: None, one_shard: None) -> None:
    assert database_id() == database_id()
    assert BridgeIdentity.objects.get().shards == 1

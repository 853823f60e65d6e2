"""After a restore: what Kafka has already is told by its id and never sent twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from biometrics.identity import database_id
from biometrics.models import AuditEntry, OutboxMessage, PublishBatch, ShardLease
from biometrics.models.outbox import MessageStatus
from biometrics.publishing.compare import Comparison, compare, mark, stopped_shards
from biometrics.publishing.producers import Receipt
from biometrics.publishing.producers.kafka_cluster import KafkaCluster
from biometrics.publishing.producers.kafka_reader import record_ids
from biometrics.publishing.producers.memory import MemoryBroker
from biometrics.publishing.resume import NoAlarmError, resume
from tests.publishing.clusters import kafka_config
from tests.publishing.records import in_seconds, progress, record
from tests.publishing.world import TOPIC, World
from tests.services import MakeTopic

Visible = Callable[[], dict[UUID, list[str]]]


def restored(world: World, *, had_open: bool = False) -> None:
    """Publish three times; put the database back to before the last two.

    With `had_open` the backup was taken in the middle of the second batch.
    """
    world.append(1)
    world.worker().work()
    leases = list(ShardLease.objects.values())
    world.append(1)
    world.append(1)
    world.worker(batch=1).work()
    for row in leases:
        if had_open and row["step"] == "publish":
            row |= {"next_seq": row["next_seq"] + 1, "is_clean": False}
    ShardLease.objects.all().delete()
    ShardLease.objects.bulk_create(ShardLease(**row) for row in leases)
    later = OutboxMessage.objects.order_by("id")[1:]
    for message in later:
        message.status, message.published_at = MessageStatus.PENDING, None
        message.kafka_partition = message.kafka_offset = None
        if not had_open or message.batch is None or message.batch.seq != 2:
            message.batch = None
        else:
            message.status = MessageStatus.IN_BATCH
        message.save()
    PublishBatch.objects.filter(seq__gt=2 if had_open else 1).delete()
    if had_open:
        PublishBatch.objects.filter(seq=2).update(state="open", closed_at=None)


def records_of(broker: MemoryBroker) -> Iterator[tuple[UUID, Receipt]]:
    for number, item in enumerate(broker.read(TOPIC)):
        ce_id = UUID(dict(item.headers)["ce_id"].decode())
        yield ce_id, Receipt(partition=0, offset=number)


def compared(broker: MemoryBroker) -> Comparison:
    (found,) = compare(shards=stopped_shards(), records=records_of(broker))
    return found


def go_on(world: World, found: Comparison) -> None:
    resume(
        shard=0,
        open_batch=found.open_batch,
        cluster=world.cluster,
        database_id=database_id(),
        actor="eva",
        reason="restored",
        now=world.clock(),
    )


@pytest.mark.parametrize("had_open", [False, True])
def test_what_kafka_has_is_not_sent_again(
    world: World, broker: MemoryBroker, visible: Visible, *, had_open: bool
) -> None:
    restored(world, had_open=had_open)
    world.append(2)
    assert world.worker().work().state == "alarm"
    found = compared(broker)
    assert (found.waiting, len(found.published)) == (4, 2)
    assert found.open_batch == ("published" if had_open else "pending")

    mark(found, actor="eva", reason="restored", now=world.clock())
    go_on(world, found)
    assert world.worker().work().published == 2
    assert visible() == world.sent
    assert world.statuses() == {"published": 5}


def test_without_it_they_would_be_sent_twice(
    world: World, broker: MemoryBroker, visible: Visible
) -> None:
    """What the comparison is for, so that the test above means something."""
    restored(world)
    assert world.worker().work().state == "alarm"
    go_on(world, Comparison(shard=0, waiting=0, open_batch="pending"))
    world.worker().work()
    assert visible() != world.sent


def test_the_alarm_says_what_to_do(world: World) -> None:
    restored(world)
    world.worker().work()
    assert "outbox compare" in world.lease().alarm
    assert "docs/deploy.md" in world.lease().alarm


def test_marking_leaves_the_shard_stopped_and_is_written_down(
    world: World, broker: MemoryBroker
) -> None:
    restored(world)
    world.worker().work()
    found = compared(broker)
    assert mark(found, actor="eva", reason="restored", now=world.clock()) == 2
    assert world.lease().alarm
    assert world.worker().work().state == "alarm"
    (entry,) = AuditEntry.objects.all()
    assert (entry.verb, entry.detail) == ("outbox.compare", {"published": 2})
    places = OutboxMessage.objects.order_by("id").values_list("kafka_offset", flat=True)
    assert list(places)[1:] == [1, 2]
    world.clock.advance(timedelta(minutes=1))
    assert mark(found, actor="eva", reason="again", now=world.clock()) == 0


def test_a_shard_that_goes_its_way_is_not_touched(
    world: World, broker: MemoryBroker
) -> None:
    world.append(1)
    world.worker().work()
    world.append(1)
    assert stopped_shards() == []
    found = Comparison(shard=0, waiting=1, open_batch="pending")
    with pytest.raises(NoAlarmError):
        mark(found, actor="eva", reason="restored", now=world.clock())


@pytest.mark.kafka
def test_committed_records_are_read_back_from_kafka(
    kafka: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(prefix="compare")
    steps = make_topic(prefix="progress", partitions=1)
    config = kafka_config(kafka, progress_topic=steps)
    producer = KafkaCluster(config).build(
        transactional_id=f"reader-{topic}", deadline=in_seconds(20)
    )
    ids = [UUID(int=number) for number in range(1, 21)]
    sent = [
        record(number, topic=topic, key=f"person-{number % 5}")
        for number in range(len(ids))
    ]
    named = [
        replace(one, headers=[("ce_id", str(ce_id).encode())])
        for one, ce_id in zip(sent, ids, strict=True)
    ]
    producer.stage(records=named, progress=progress(1), deadline=in_seconds(20))
    producer.commit(deadline=in_seconds(20))
    producer.discard()

    found = dict(record_ids(topics=[topic], config=config))
    assert set(found) == set(ids)
    tomorrow = datetime.now(tz=UTC) + timedelta(days=1)
    assert dict(record_ids(topics=[topic], since=tomorrow, config=config)) == {}
    hour_ago = datetime.now(tz=UTC) - timedelta(hours=1)
    assert dict(record_ids(topics=[topic], since=hour_ago, config=config)) == found

"""One contract for every producer: the real broker's, and the one in memory."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from biometrics.publishing.producers import (
    Cluster,
    DoubtError,
    FencedError,
    RecordProducer,
    RefusedError,
)
from biometrics.publishing.producers.kafka_cluster import KafkaCluster
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from tests.publishing.clusters import kafka_config
from tests.publishing.records import in_seconds, progress, read_all, record
from tests.services import MakeTopic, create_topic

# Does not compress, so that the broker sees its size.
POISON = random.Random(1).randbytes(60_000)


def new_id() -> str:
    return f"relay-{uuid.uuid4().hex}"


Build = Callable[[str], RecordProducer]
Visible = Callable[[], list[bytes]]


class ProducerContract:
    """What the relay relies on."""

    @pytest.fixture
    def build(self, cluster: Cluster) -> Iterator[Build]:
        made: list[RecordProducer] = []

        def make(transactional_id: str) -> RecordProducer:
            producer = cluster.build(
                transactional_id=transactional_id, deadline=in_seconds(20)
            )
            made.append(producer)
            return producer

        yield make
        for producer in made:
            producer.discard()

    @pytest.fixture
    def shard(self) -> int:
        return 3

    def test_staged_records_are_invisible_before_the_commit(
        self, build: Build, topic: str, visible: Visible
    ) -> None:
        producer = build(new_id())
        producer.stage(
            records=[record(1, topic=topic)],
            progress=progress(1),
            deadline=in_seconds(20),
        )
        assert visible() == []
        producer.commit(deadline=in_seconds(20))
        assert visible() == [b"1"]

    def test_records_of_a_key_keep_their_order(
        self, build: Build, topic: str, visible: Visible
    ) -> None:
        producer = build(new_id())
        for seq in (1, 2):
            numbers = range(seq * 100, seq * 100 + 100)
            producer.stage(
                records=[record(n, topic=topic) for n in numbers],
                progress=progress(seq),
                deadline=in_seconds(20),
            )
            producer.commit(deadline=in_seconds(20))
        assert visible() == [str(n).encode() for n in range(100, 300)]

    def test_receipts_say_where_a_record_lies(self, build: Build, topic: str) -> None:
        producer = build(new_id())
        receipts = producer.stage(
            records=[record(n, topic=topic) for n in range(3)],
            progress=progress(1),
            deadline=in_seconds(20),
        )
        assert len({receipt.partition for receipt in receipts}) == 1
        assert [receipt.offset for receipt in receipts] == [0, 1, 2]

    def test_progress_comes_with_the_commit(
        self, build: Build, topic: str, cluster: Cluster, shard: int
    ) -> None:
        producer = build(new_id())
        producer.stage(
            records=[record(1, topic=topic)],
            progress=progress(7, shard=shard),
            deadline=in_seconds(20),
        )
        producer.commit(deadline=in_seconds(20))
        assert cluster.committed(shard=shard, deadline=in_seconds(20)) == progress(
            7, shard=shard
        )

    def test_there_is_no_progress_before_the_first(
        self, cluster: Cluster, shard: int
    ) -> None:
        assert cluster.committed(shard=shard, deadline=in_seconds(20)) is None

    def test_progress_alone_can_be_committed(
        self, build: Build, cluster: Cluster, shard: int
    ) -> None:
        producer = build(new_id())
        producer.stage(
            records=[], progress=progress(3, shard=shard), deadline=in_seconds(20)
        )
        producer.commit(deadline=in_seconds(20))
        assert cluster.committed(shard=shard, deadline=in_seconds(20)) == progress(
            3, shard=shard
        )

    def test_a_fenced_producer_cannot_commit(
        self,
        build: Build,
        topic: str,
        cluster: Cluster,
        visible: Visible,
        shard: int,
    ) -> None:
        zombie = build(new_id())
        zombie.stage(
            records=[record(1, topic=topic)],
            progress=progress(1, shard=shard),
            deadline=in_seconds(20),
        )
        cluster.fence(transactional_id=zombie.transactional_id, deadline=in_seconds(20))
        with pytest.raises(FencedError):
            zombie.commit(deadline=in_seconds(20))
        assert visible() == []
        assert cluster.committed(shard=shard, deadline=in_seconds(20)) is None

    def test_a_fenced_producer_cannot_stage(
        self, build: Build, topic: str, cluster: Cluster
    ) -> None:
        zombie = build(new_id())
        cluster.fence(transactional_id=zombie.transactional_id, deadline=in_seconds(20))
        with pytest.raises(DoubtError):
            zombie.stage(
                records=[record(1, topic=topic)],
                progress=progress(1),
                deadline=in_seconds(20),
            )

    def test_fencing_leaves_a_committed_transaction_alone(
        self, build: Build, topic: str, cluster: Cluster, visible: Visible
    ) -> None:
        producer = build(new_id())
        producer.stage(
            records=[record(1, topic=topic)],
            progress=progress(1),
            deadline=in_seconds(20),
        )
        producer.commit(deadline=in_seconds(20))
        cluster.fence(
            transactional_id=producer.transactional_id, deadline=in_seconds(20)
        )
        assert visible() == [b"1"]

    def test_a_discarded_producer_leaves_its_transaction_to_the_fence(
        self,
        build: Build,
        topic: str,
        cluster: Cluster,
        visible: Visible,
        shard: int,
    ) -> None:
        producer = build(new_id())
        producer.stage(
            records=[record(1, topic=topic)],
            progress=progress(1, shard=shard),
            deadline=in_seconds(20),
        )
        producer.discard()
        with pytest.raises(DoubtError):
            producer.commit(deadline=in_seconds(5))
        cluster.fence(
            transactional_id=producer.transactional_id, deadline=in_seconds(20)
        )
        assert visible() == []

    def test_poison_is_refused_and_nothing_of_its_batch_is_visible(
        self, build: Build, topic: str, cluster: Cluster, visible: Visible
    ) -> None:
        producer = build(new_id())
        poison = replace(record(2, topic=topic, key="other"), value=POISON)
        with pytest.raises(RefusedError):
            producer.stage(
                records=[record(1, topic=topic), poison, record(3, topic=topic)],
                progress=progress(1),
                deadline=in_seconds(20),
            )
        producer.discard()
        cluster.fence(
            transactional_id=producer.transactional_id, deadline=in_seconds(20)
        )
        assert visible() == []

    def test_a_topic_name_that_no_broker_takes_is_known_before_sending(
        self, build: Build
    ) -> None:
        producer = build(new_id())
        assert producer.refusal(record(1, topic="")) is not None
        assert producer.refusal(record(1, topic="fine")) is None

    def test_a_plain_producer_is_visible_at_once(
        self, build: Build, topic: str, visible: Visible
    ) -> None:
        producer = build("")
        producer.stage(
            records=[record(1, topic=topic)], progress=None, deadline=in_seconds(20)
        )
        producer.commit(deadline=in_seconds(20))
        assert visible() == [b"1"]


class TestMemory(ProducerContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker(refuses=lambda item: item.value == POISON)

    @pytest.fixture
    def cluster(self, broker: MemoryBroker) -> Cluster:
        return MemoryCluster(broker)

    @pytest.fixture
    def topic(self) -> str:
        return "events"

    @pytest.fixture
    def visible(self, broker: MemoryBroker, topic: str) -> Visible:
        return lambda: [item.value for item in broker.read(topic)]


@pytest.mark.kafka
class TestKafka(ProducerContract):
    @pytest.fixture
    def cluster(self, kafka: str) -> Cluster:
        # A topic of its own keeps one test's progress from another's.
        name = f"progress-{uuid.uuid4().hex[:8]}"
        create_topic(kafka, name=name, partitions=4)
        return KafkaCluster(kafka_config(kafka, progress_topic=name))

    @pytest.fixture
    def topic(self, make_topic: MakeTopic) -> str:
        return make_topic(config={"max.message.bytes": "50000"})

    @pytest.fixture
    def visible(self, kafka: str, topic: str) -> Visible:
        return lambda: [value for _, _, value, _ in read_all(kafka, topic=topic)]

"""What the Kafka client's version gives us, options in effect, and what errors mean."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from importlib.metadata import version

import kafka.errors as client_errors
import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.sender import Sender
from kafka.producer.transaction_manager import (
    ProducerIdAndEpoch,
    TransactionManager,
)

from auren.devstack.kafka import EmbeddedKafka
from biometrics.errors import PublishError
from biometrics.publishing.own import OwnProducer
from biometrics.publishing.producers import (
    DoubtError,
    FencedError,
    MisconfiguredError,
    RefusedError,
    UnreachableError,
)
from biometrics.publishing.producers.kafka import (
    PRIVATE_NAMES,
    KafkaRecordProducer,
)
from biometrics.publishing.producers.kafka_cluster import KafkaCluster
from biometrics.publishing.producers.kafka_errors import MEANINGS, translated
from tests.publishing.clusters import kafka_config
from tests.publishing.records import in_seconds, progress, record
from tests.services import MakeTopic, create_topic

# Written down once more: what a person would do about each.
WANTED: dict[str, type[PublishError]] = {
    # This one record will never be taken.
    "MessageSizeTooLargeError": RefusedError,
    "RecordListTooLargeError": RefusedError,
    "InvalidRecordError": RefusedError,
    "InvalidTimestampError": RefusedError,
    "InvalidTopicError": RefusedError,
    # Somebody else has the id.
    "ProducerFencedError": FencedError,
    "InvalidProducerEpochError": FencedError,
    "TransactionCoordinatorFencedError": FencedError,
    # No record of anybody will be taken until somebody has changed a setting.
    "AuthorizationError": MisconfiguredError,
    "SaslAuthenticationFailedError": MisconfiguredError,
    "UnsupportedSaslMechanismError": MisconfiguredError,
    "IllegalSaslStateError": MisconfiguredError,
    "SecurityDisabledError": MisconfiguredError,
    "UnsupportedVersionError": MisconfiguredError,
    "UnsupportedForMessageFormatError": MisconfiguredError,
    "UnsupportedCompressionTypeError": MisconfiguredError,
    "UnsupportedCodecError": MisconfiguredError,
    "UnrecognizedBrokerVersion": MisconfiguredError,
    "KafkaConfigurationError": MisconfiguredError,
    "InvalidTransactionTimeoutError": MisconfiguredError,
    "InvalidRequiredAcksError": MisconfiguredError,
    "PolicyViolationError": MisconfiguredError,
}


class TestPrivateNames:
    """The client is pinned because of these; a new version must be looked at."""

    def test_the_version_is_the_one_that_was_examined(self) -> None:
        assert version("kafka-python") == "3.0.12"

    @pytest.mark.kafka
    def test_every_private_name_is_there(self, cluster: KafkaCluster) -> None:
        producer = cluster.build(transactional_id="names", deadline=in_seconds(20))
        holders = {
            "KafkaProducer": producer._client,
            "TransactionManager": producer._manager,
            "Sender": producer._sender,
        }
        assert isinstance(producer._client, KafkaProducer)
        assert isinstance(producer._manager, TransactionManager)
        assert isinstance(producer._sender, Sender)
        for owner, names in PRIVATE_NAMES.items():
            for name in names:
                assert hasattr(holders[owner], name), (owner, name)
        producer.discard()


@pytest.mark.kafka
class TestOptions:
    def test_those_of_the_specification_are_in_effect(
        self, cluster: KafkaCluster
    ) -> None:
        producer = cluster.build(transactional_id="options", deadline=in_seconds(20))
        effective = producer.options
        producer.discard()
        assert effective["acks"] == -1
        assert effective["enable_idempotence"] is True
        assert effective["compression_type"] == "snappy"
        assert effective["linger_ms"] == 5
        assert effective["batch_size"] == 16_384
        assert effective["request_timeout_ms"] == 30_000
        assert effective["max_in_flight_requests_per_connection"] == 5
        # Transactional: a begin right after a commit waits this long.
        assert effective["retry_backoff_ms"] == 20
        assert effective["transaction_timeout_ms"] == 60_000
        assert effective["transactional_id"] == "options"
        assert effective["allow_auto_create_topics"] is False

    def test_a_plain_producer_is_idempotent_too(self, cluster: KafkaCluster) -> None:
        producer = cluster.build(transactional_id="", deadline=in_seconds(20))
        effective = producer.options
        producer.discard()
        assert effective["enable_idempotence"] is True
        assert effective["acks"] == -1
        assert effective["transactional_id"] is None


@pytest.mark.kafka
class TestDiscarding:
    def test_it_leaves_no_thread_behind(
        self, cluster: KafkaCluster, make_topic: MakeTopic
    ) -> None:
        before = set(threading.enumerate())
        producer = cluster.build(transactional_id="threads", deadline=in_seconds(20))
        producer.stage(
            records=[record(1, topic=make_topic())],
            progress=progress(1),
            deadline=in_seconds(20),
        )
        producer.discard()
        left = [thread for thread in threading.enumerate() if thread not in before]
        assert left == []

    def test_an_unknown_topic_is_said_before_anything_is_sent(
        self, cluster: KafkaCluster
    ) -> None:
        producer = cluster.build(transactional_id="topics", deadline=in_seconds(20))
        with pytest.raises(UnreachableError, match="kafka_topics"):
            producer.stage(
                records=[record(1, topic="nowhere")],
                progress=progress(1),
                deadline=in_seconds(20),
            )
        producer.discard()

    def test_a_shard_without_a_partition_for_its_progress_is_said(
        self, cluster: KafkaCluster, make_topic: MakeTopic
    ) -> None:
        producer = cluster.build(transactional_id="parts", deadline=in_seconds(20))
        with pytest.raises(UnreachableError, match="no partition 7"):
            producer.stage(
                records=[record(1, topic=make_topic())],
                progress=progress(1, shard=7),
                deadline=in_seconds(20),
            )
        producer.discard()


@pytest.mark.kafka
class TestAbsence:
    """Every wait has an end of its own, whatever the client would do."""

    def test_an_absent_broker_is_unreachable(self) -> None:
        cluster = KafkaCluster(kafka_config("127.0.0.1:1", progress_topic="none"))
        with pytest.raises(UnreachableError):
            cluster.build(transactional_id="absent", deadline=in_seconds(20))
        with pytest.raises(UnreachableError):
            cluster.committed(shard=0, deadline=in_seconds(20))

    def test_a_frozen_broker_ends_stage_and_commit_in_time(
        self, own_kafka: EmbeddedKafka
    ) -> None:
        servers = own_kafka.bootstrap_servers
        for name in ("events", "progress"):
            create_topic(servers, name=name)
        cluster = KafkaCluster(kafka_config(servers, progress_topic="progress"))
        producers = [
            cluster.build(transactional_id=f"frozen-{n}", deadline=in_seconds(20))
            for n in range(2)
        ]
        for producer in producers:
            producer.stage(
                records=[record(1, topic="events")],
                progress=progress(1),
                deadline=in_seconds(20),
            )
        producers[1].commit(deadline=in_seconds(20))
        own_kafka.pause()
        began = time.monotonic()
        try:
            with pytest.raises(DoubtError):
                producers[0].commit(deadline=in_seconds(1))
            with pytest.raises(DoubtError):
                producers[1].stage(
                    records=[record(2, topic="events")],
                    progress=progress(2),
                    deadline=in_seconds(1),
                )
            # Two waits of a second; the client itself would wait for 30 and more.
            assert time.monotonic() - began < 10
        finally:
            for producer in producers:
                producer.discard()
            own_kafka.resume()


def _takes_a_new_epoch(producer: KafkaRecordProducer) -> None:
    """Let the client do what it does after a sequence error."""
    was = producer._manager.producer_id_and_epoch
    producer._manager.producer_id_and_epoch = ProducerIdAndEpoch(
        was.producer_id, was.epoch + 1
    )


def _drops_its_transaction(producer: KafkaRecordProducer) -> None:
    producer._manager._transaction_started = False


@pytest.mark.kafka
@pytest.mark.parametrize("loses", [_takes_a_new_epoch, _drops_its_transaction])
class TestFalseSuccess:
    """The client may go on in a new epoch, then commit nothing and report success."""

    def test_it_is_noticed_before_the_commit(
        self,
        cluster: KafkaCluster,
        make_topic: MakeTopic,
        loses: Callable[[KafkaRecordProducer], None],
    ) -> None:
        producer = cluster.build(transactional_id="epoch-1", deadline=in_seconds(20))
        producer.stage(
            records=[record(1, topic=make_topic())],
            progress=progress(1),
            deadline=in_seconds(20),
        )
        loses(producer)
        with pytest.raises(DoubtError, match="new epoch"):
            producer.commit(deadline=in_seconds(5))
        producer.discard()

    def test_it_is_noticed_while_staging(
        self,
        cluster: KafkaCluster,
        make_topic: MakeTopic,
        loses: Callable[[KafkaRecordProducer], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        producer = cluster.build(transactional_id="epoch-2", deadline=in_seconds(20))
        flush = producer._client.flush

        def flush_and_lose(**given: float) -> None:
            flush(**given)
            loses(producer)

        monkeypatch.setattr(producer._client, "flush", flush_and_lose)
        with pytest.raises(DoubtError, match="new epoch"):
            producer.stage(
                records=[record(1, topic=make_topic())],
                progress=None,
                deadline=in_seconds(20),
            )
        producer.discard()


class TestErrors:
    @pytest.mark.parametrize(("name", "wanted"), WANTED.items())
    def test_each_row_becomes_its_error(
        self, name: str, wanted: type[PublishError]
    ) -> None:
        error = getattr(client_errors, name)("secret")
        assert type(translated(error, doing="sending")) is wanted
        assert "secret" not in str(translated(error, doing="sending"))

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("MessageSizeTooLargeError", "too_large"),
            ("RecordListTooLargeError", "too_large"),
            ("InvalidTopicError", "bad_topic"),
            ("InvalidRecordError", "refused"),
            ("InvalidTimestampError", "refused"),
        ],
    )
    def test_a_refusal_says_what_the_broker_minds(self, name: str, code: str) -> None:
        error = translated(getattr(client_errors, name)(), doing="sending")
        assert isinstance(error, RefusedError)
        assert error.code == code

    def test_no_row_is_untested(self) -> None:
        assert {kind.__name__ for kind in MEANINGS} == set(WANTED)

    @pytest.mark.parametrize(
        "error",
        [
            client_errors.KafkaTimeoutError("late"),
            client_errors.NotLeaderForPartitionError(),
            client_errors.OutOfOrderSequenceNumberError(),
            client_errors.UnknownProducerIdError(),
            client_errors.InvalidTxnStateError(),
            client_errors.ConcurrentTransactionsError(),
            client_errors.UnknownError(),
            client_errors.KafkaError("anything"),
            OSError("gone"),
            ZeroDivisionError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_whatever_is_not_listed_is_a_doubt(self, error: Exception) -> None:
        assert type(translated(error, doing="sending")) is DoubtError

    @pytest.mark.parametrize(
        "error",
        [
            client_errors.TopicAuthorizationFailedError,
            client_errors.TransactionalIdAuthorizationFailedError,
            client_errors.IncompatibleBrokerVersion,
        ],
    )
    def test_subclasses_count_as_what_they_are(self, error: type[KafkaError]) -> None:
        assert type(translated(error(), doing="sending")) is MisconfiguredError

    def test_fenced_and_refused_are_told_apart(self) -> None:
        assert issubclass(FencedError, DoubtError)
        assert not issubclass(RefusedError, DoubtError)


def test_a_producer_is_never_shared_by_name() -> None:
    class Names:
        def __init__(self) -> None:
            self.built: list[str] = []

        def build(self, *, transactional_id: str, deadline: float) -> None:
            self.built.append(transactional_id)

    names = Names()
    for _ in range(3):
        OwnProducer(cluster=names, transactional=True).get(deadline=0)  # type: ignore[arg-type]
    assert len(set(names.built)) == 3


@pytest.fixture
def cluster(kafka: str) -> KafkaCluster:
    """Return the run's broker, with a topic for progress of four shards."""
    name = f"progress-{threading.get_ident()}"
    config = kafka_config(kafka, progress_topic=name)
    with contextlib.suppress(client_errors.TopicAlreadyExistsError):
        create_topic(kafka, name=name)
    return KafkaCluster(config)

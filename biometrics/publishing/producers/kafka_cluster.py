"""The relay's view of a real cluster: building producers, fencing, reading progress."""

from __future__ import annotations

import time

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from biometrics.errors import PublishError
from biometrics.publishing.producers import Progress, UnreachableError
from biometrics.publishing.producers.connecting import closed_on_failure
from biometrics.publishing.producers.kafka import KafkaRecordProducer, progress_group
from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.publishing.producers.kafka_errors import Meaning, meaning_of, translated

_LEAST_WAIT_MS = 100


class KafkaCluster:
    """A cluster behind KAFKA_BOOTSTRAP_SERVERS; see Cluster for the contract."""

    def __init__(self, config: KafkaConfig | None = None) -> None:
        self._config = config or KafkaConfig.from_settings()

    def build(self, *, transactional_id: str, deadline: float) -> KafkaRecordProducer:
        """Return a producer whose id is initialised; a plain one for an empty id."""
        _check_time(deadline, doing="building a producer")
        try:
            producer = KafkaRecordProducer(
                config=self._config, transactional_id=transactional_id
            )
        except (KafkaError, OSError) as error:
            raise _unreachable(error, doing="connecting") from error
        try:
            producer.initialise()
        except KafkaError as error:
            producer.discard()
            raise _unreachable(error, doing="initialising transactions") from error
        return producer

    def fence(self, *, transactional_id: str, deadline: float) -> None:
        """End the open transaction of this id and bar its producer for ever."""
        self.build(transactional_id=transactional_id, deadline=deadline).discard()

    def committed(self, *, shard: int, deadline: float) -> Progress | None:
        """Return the shard's committed progress, None when there is none."""
        _check_time(deadline, doing="reading progress")
        try:
            consumer = self._reader(shard)
        except (KafkaError, OSError) as error:
            raise _unreachable(error, doing="reading progress") from error
        try:
            found = consumer.committed(
                TopicPartition(self._config.progress_topic, shard),
                metadata=True,
                timeout_ms=max(_LEAST_WAIT_MS, (deadline - time.monotonic()) * 1000),
            )
        except KafkaError as error:
            raise _unreachable(error, doing="reading progress") from error
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
        if found is None:
            return None
        return Progress(shard=shard, seq=found.offset, database_id=found.metadata)

    def _reader(self, shard: int) -> KafkaConsumer:
        with closed_on_failure() as connect:
            return KafkaConsumer(
                **self._config.client_options(),
                group_id=progress_group(shard),
                # Makes the broker answer with stable offsets only.
                isolation_level="read_committed",
                enable_auto_commit=False,
                metrics_enabled=False,
                kafka_client=connect,
            )


def _check_time(deadline: float, *, doing: str) -> None:
    if time.monotonic() >= deadline:
        message = f"No time was left for {doing}."
        raise UnreachableError(message)


def _unreachable(error: BaseException, *, doing: str) -> PublishError:
    """Return the error for a question that Kafka did not answer."""
    if meaning_of(error) is Meaning.MISCONFIGURED:
        return translated(error, doing=doing)
    return UnreachableError(f"{type(error).__name__} while {doing}.")

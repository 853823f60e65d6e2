"""Reading the topics back: which records are there, and where."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from biometrics.publishing.producers import Receipt, UnreachableError
from biometrics.publishing.producers.connecting import closed_on_failure
from biometrics.publishing.producers.kafka_config import KafkaConfig

_POLL_MS = 500
# A broker that says nothing for so long has gone away.
_PATIENCE_S = 60.0


def record_ids(
    *,
    topics: Sequence[str],
    since: datetime | None = None,
    config: KafkaConfig | None = None,
) -> Iterator[tuple[UUID, Receipt]]:
    """Yield the `ce_id` of every committed record and where it lies, up to the present end.

    With `since`, only records that were sent at that time or later. Raises
    UnreachableError.
    """
    consumer = _consumer(config)
    try:
        yield from _read(consumer, topics, since)
    except KafkaError as error:
        raise _unreachable(error) from error
    finally:
        consumer.close(autocommit=False, timeout_ms=1000)


class Tail:
    """What is committed to topics from the moment on at which this was opened.

    Raises UnreachableError.
    """

    def __init__(
        self, *, topics: Sequence[str], config: KafkaConfig | None = None
    ) -> None:
        self._consumer = _consumer(config)
        try:
            self._go_to_the_end(topics)
        except UnreachableError:
            self.close()
            raise
        except KafkaError as error:
            self.close()
            raise _unreachable(error) from error

    def _go_to_the_end(self, topics: Sequence[str]) -> None:
        parts = _partitions(self._consumer, topics)
        if missing := set(topics) - {part.topic for part in parts}:
            names = ", ".join(sorted(missing))
            message = f"Not on Kafka: {names}. Run manage.py kafka_topics."
            raise UnreachableError(message)
        self._consumer.assign(parts)
        self._consumer.seek_to_end()
        for part in parts:
            # Resolved now, so that nothing that is sent from now on is missed.
            self._consumer.position(part)

    def find(self, *, header: tuple[str, bytes], deadline: float) -> Receipt | None:
        """Return where the first record with a header lies; None when time is up.

        `deadline` is in `time.monotonic`.
        """
        try:
            while (left := deadline - time.monotonic()) > 0:
                wait_ms = max(1, min(_POLL_MS, int(left * 1000)))
                for records in self._consumer.poll(timeout_ms=wait_ms).values():
                    for record in records:
                        if header in record.headers:
                            return Receipt(
                                partition=record.partition, offset=record.offset
                            )
        except KafkaError as error:
            raise _unreachable(error) from error
        return None

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close(autocommit=False, timeout_ms=1000)


def _consumer(config: KafkaConfig | None) -> KafkaConsumer:
    try:
        with closed_on_failure() as connect:
            return KafkaConsumer(
                **(config or KafkaConfig.from_settings()).client_options(),
                isolation_level="read_committed",
                enable_auto_commit=False,
                metrics_enabled=False,
                kafka_client=connect,
            )
    except (KafkaError, OSError) as error:
        raise _unreachable(error) from error


def _partitions(consumer: KafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def _read(
    consumer: KafkaConsumer, topics: Sequence[str], since: datetime | None
) -> Iterator[tuple[UUID, Receipt]]:
    parts = _partitions(consumer, topics)
    consumer.assign(parts)
    ends = consumer.end_offsets(parts)
    consumer.seek_to_beginning(*parts)
    if since is not None:
        moment = int(since.timestamp() * 1000)
        for part, found in consumer.offsets_for_times(
            dict.fromkeys(parts, moment)
        ).items():
            consumer.seek(part, ends[part] if found is None else found.offset)
    quiet_since = time.monotonic()
    while any(consumer.position(part) < end for part, end in ends.items()):
        batches = consumer.poll(timeout_ms=_POLL_MS)
        if batches:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > _PATIENCE_S:
            message = "Kafka stopped answering while the topics were read."
            raise UnreachableError(message)
        for part, records in batches.items():
            for record in records:
                ce_id = dict(record.headers).get("ce_id", b"").decode()
                yield (
                    UUID(ce_id),
                    Receipt(partition=part.partition, offset=record.offset),
                )


def _unreachable(error: BaseException) -> UnreachableError:
    return UnreachableError(f"{type(error).__name__} while reading the topics.")

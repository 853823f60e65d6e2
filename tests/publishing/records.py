"""Records and readers that the tests of publishing share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition

from biometrics.publishing.producers import OutgoingRecord, Progress

DATABASE = "11111111-1111-4111-8111-111111111111"


def record(number: int, *, topic: str, key: str = "person") -> OutgoingRecord:
    """Return a record whose value is its number."""
    return OutgoingRecord(
        topic=topic,
        key=key.encode(),
        value=str(number).encode(),
        headers=[("ce_id", f"id-{number}".encode())],
        timestamp_ms=int(time.time() * 1000),
    )


def progress(seq: int, *, shard: int = 0) -> Progress:
    """Return progress of the tests' database."""
    return Progress(shard=shard, seq=seq, database_id=DATABASE)


def in_seconds(seconds: float) -> float:
    """Return a deadline."""
    return time.monotonic() + seconds


@contextmanager
def consumer(
    servers: str, *, topic: str, isolation: str = "read_committed"
) -> Iterator[KafkaConsumer]:
    """Open a reader of all partitions of a topic, from the beginning."""
    reader = KafkaConsumer(
        bootstrap_servers=servers,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        partitions = [
            TopicPartition(topic, number)
            for number in sorted(reader.partitions_for_topic(topic))
        ]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        yield reader
    finally:
        reader.close(autocommit=False)


def read_all(
    servers: str, *, topic: str, isolation: str = "read_committed"
) -> list[tuple[int, bytes, bytes, dict[str, bytes]]]:
    """Return (partition, key, value, headers) of every record up to the present end."""
    with consumer(servers, topic=topic, isolation=isolation) as reader:
        ends = reader.end_offsets(list(reader.assignment()))
        found: list[tuple[int, bytes, bytes, dict[str, bytes]]] = []
        deadline = in_seconds(20)
        while any(reader.position(tp) < end for tp, end in ends.items()):
            assert time.monotonic() < deadline, "the topic's end was not reached"
            for records in reader.poll(timeout_ms=200).values():
                found.extend(
                    (item.partition, item.key, item.value, dict(item.headers))
                    for item in records
                )
    return found

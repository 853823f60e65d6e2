"""The same bytes sent by a plain loop of kafka-python: what the client can do at most."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

Record = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
TOPIC = "bench-plain"
_PARTITIONS = 16
_BATCH = 500


def make_topic(server: str) -> None:
    """Create the topic of the plain loops, as wide as the bridge's own."""
    admin = KafkaAdminClient(bootstrap_servers=server)
    try:
        spec = {"num_partitions": _PARTITIONS, "replication_factor": 1}
        admin.create_topics({TOPIC: spec}, raise_errors=False)
        admin.wait_for_topics([TOPIC], timeout_ms=10_000)
    finally:
        admin.close()


def acks_all(server: str, records: Sequence[Record]) -> float:
    """Return records/s of one idempotent producer without transactions."""
    producer = KafkaProducer(
        bootstrap_servers=server,
        acks="all",
        enable_idempotence=True,
        compression_type="snappy",
        linger_ms=5,
    )
    try:
        started = time.monotonic()
        for topic, key, value, headers in records:
            producer.send(topic, key=key, value=value, headers=headers)
        producer.flush()
        return len(records) / (time.monotonic() - started)
    finally:
        producer.close()


def transactions(server: str, records: Sequence[Record]) -> float:
    """Return records/s of one producer that commits a transaction per batch of 500."""
    producer = KafkaProducer(
        bootstrap_servers=server,
        acks="all",
        transactional_id=f"bench-{uuid4()}",
        compression_type="snappy",
        linger_ms=5,
    )
    try:
        producer.init_transactions()
        started = time.monotonic()
        for begin in range(0, len(records), _BATCH):
            producer.begin_transaction()
            for topic, key, value, headers in records[begin : begin + _BATCH]:
                producer.send(topic, key=key, value=value, headers=headers)
            producer.commit_transaction()
        return len(records) / (time.monotonic() - started)
    finally:
        producer.close()

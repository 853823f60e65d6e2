"""A record producer on kafka-python 3.0.12: every wait bounded, every outcome checked.

The client's own `commit_transaction` and `send_offsets_to_transaction` wait for ever,
its `flush` hides failures, and a commit may return although a record was lost. So this
module waits by itself, and uses private names of the client (`PRIVATE_NAMES`) for that
and for throwing a producer away: `close` would go on sending, `abort` might hang.
Nowhere else are private names used, and a test fails when one of them goes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from biometrics.publishing.producers import (
    DoubtError,
    Objection,
    OutgoingRecord,
    Progress,
    Receipt,
    UnreachableError,
)
from biometrics.publishing.producers.connecting import closed_on_failure
from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.publishing.producers.kafka_errors import Meaning, meaning_of, translated

PRIVATE_NAMES: Final = {
    "KafkaProducer": (
        "_transaction_manager",
        "_sender",
        "_unregister_cleanup",
        "_closed",
        "_wait_on_metadata",
        "_estimate_size_in_bytes",
    ),
    "TransactionManager": (
        "begin_commit",
        "send_offsets_to_transaction",
        "producer_id_and_epoch",
        "_transaction_started",
    ),
    "Sender": ("force_close", "wakeup", "join"),
}

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_METADATA_WAIT_MS = 5_000
_SENDER_ENDS_S = 5.0


class _Future(Protocol):
    is_done: bool
    exception: BaseException | None
    value: Any

    def succeeded(self) -> bool: ...


class _Client(KafkaProducer):  # type: ignore[misc]
    """The client without its destructor, which would close: send and block."""

    def __del__(self) -> None:
        """Leave everything to `discard`."""


class KafkaRecordProducer:
    """One kafka-python producer; see RecordProducer for the contract."""

    def __init__(self, *, config: KafkaConfig, transactional_id: str) -> None:
        """Connect; raises the client's own errors. `initialise` comes next."""
        self._id = transactional_id
        self._progress_topic = config.progress_topic
        self._max_bytes = config.max_request_size
        self._known: dict[str, set[int]] = {}
        with closed_on_failure() as connect:
            self._client = _Client(
                **config.producer_options(transactional_id=transactional_id),
                kafka_client=connect,
            )
        # At exit the process just goes: a clean end has nothing in flight, and after
        # any other one the successor fences us.
        self._client._unregister_cleanup()  # noqa: SLF001
        self._manager = self._client._transaction_manager  # noqa: SLF001
        self._sender = self._client._sender  # noqa: SLF001
        self._identity: tuple[int, int] | None = None

    @property
    def transactional_id(self) -> str:
        """Return the id under which it can be fenced; empty when it has none."""
        return self._id

    @property
    def options(self) -> dict[str, Any]:
        """Return the options in effect, as the client holds them."""
        return dict(self._client.config)

    def initialise(self) -> None:
        """Claim the id, ending what its former owner left open."""
        if self._id:
            self._client.init_transactions()
            self._identity = self._current_identity()

    def refusal(self, record: OutgoingRecord) -> Objection | None:
        """Say why this record can never be sent, without sending anything."""
        if not _TOPIC_NAME.fullmatch(record.topic):
            return Objection(
                code="bad_topic", reason=f"{record.topic!r} is no name of a topic."
            )
        size = self._client._estimate_size_in_bytes(  # noqa: SLF001
            record.key, record.value, list(record.headers)
        )
        if size > self._max_bytes:
            return Objection(
                code="too_large",
                reason=f"The record has {size} bytes, "
                f"at most {self._max_bytes} can be sent.",
            )
        return None

    def stage(
        self,
        *,
        records: Sequence[OutgoingRecord],
        progress: Progress | None,
        deadline: float,
    ) -> list[Receipt]:
        """Open a transaction with these records and the progress, all acknowledged."""
        self._check_open()
        self._look_up_topics(records, progress)
        futures: list[_Future] = []
        failure: BaseException | None = None
        try:
            if self._id:
                self._client.begin_transaction()
            for record in records:
                futures.append(self._send(record))  # noqa: PERF401 - keep what was sent
            told = self._tell_progress(progress)
            self._client.flush(timeout=_left(deadline))
            if told is not None:
                self._wait(told, deadline=deadline, doing="storing progress")
        # The client mixes its own errors with Python's, and what became of the records
        # is in the futures in any case.
        except Exception as error:  # noqa: BLE001
            failure = error
        if failure is not None or not all(future.succeeded() for future in futures):
            raise _worst(futures, failure)
        self._check_identity()
        return [_receipt(future) for future in futures]

    def commit(self, *, deadline: float) -> None:
        """Commit what was staged, within bounds."""
        self._check_open()
        if not self._id:
            return
        self._check_identity()
        try:
            result = self._manager.begin_commit()
            self._sender.wakeup()
            self._wait(result, deadline=deadline, doing="committing")
        except KafkaError as error:
            raise translated(error, doing="committing") from error

    def discard(self) -> None:
        """Stop the sender at once; its connections close with it."""
        self._sender.force_close()
        self._sender.join(_SENDER_ENDS_S)
        self._client._closed = True  # noqa: SLF001

    def _check_open(self) -> None:
        if self._client._closed:  # noqa: SLF001
            message = "This producer was discarded."
            raise DoubtError(message)

    def _send(self, record: OutgoingRecord) -> _Future:
        future: _Future = self._client.send(
            record.topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            timestamp_ms=record.timestamp_ms,
        )
        return future

    def _tell_progress(self, progress: Progress | None) -> Any:
        if progress is None or not self._id:
            return None
        offsets = {
            TopicPartition(self._progress_topic, progress.shard): OffsetAndMetadata(
                progress.seq, progress.database_id, -1
            )
        }
        result = self._manager.send_offsets_to_transaction(
            offsets, progress_group(progress.shard)
        )
        self._sender.wakeup()
        return result

    def _wait(self, result: Any, *, deadline: float, doing: str) -> None:
        # `wait` raises the error of the request itself, and False is a time-out.
        if not result.wait(timeout_ms=_left(deadline) * 1000):
            message = f"Kafka did not answer in time while {doing}."
            raise DoubtError(message)

    def _look_up_topics(
        self, records: Sequence[OutgoingRecord], progress: Progress | None
    ) -> None:
        """Make sure of every topic before anything is sent; it would block later."""
        for topic in {record.topic for record in records}:
            self._partitions(topic)
        if progress is None or not self._id:
            return
        if progress.shard not in self._partitions(self._progress_topic):
            message = (
                f"{self._progress_topic} has no partition {progress.shard}; "
                "run manage.py kafka_topics."
            )
            raise UnreachableError(message)

    def _partitions(self, topic: str) -> set[int]:
        if topic not in self._known:
            try:
                self._known[topic] = self._client._wait_on_metadata(  # noqa: SLF001
                    topic, _METADATA_WAIT_MS
                )
            except KafkaError as error:
                if meaning_of(error) is not Meaning.DOUBT:
                    raise translated(error, doing=f"looking up {topic}") from error
                message = (
                    f"Kafka knows no topic {topic} or is away; see manage.py "
                    "kafka_topics --check."
                )
                raise UnreachableError(message) from error
        return self._known[topic]

    def _current_identity(self) -> tuple[int, int]:
        identity = self._manager.producer_id_and_epoch
        return identity.producer_id, identity.epoch

    def _check_identity(self) -> None:
        """Notice that the client began a new epoch by itself.

        It does so after some errors; the broker has then dropped the transaction, and
        a commit would report success.
        """
        if not self._id:
            return
        started = self._manager._transaction_started  # noqa: SLF001
        if not started or self._current_identity() != self._identity:
            message = "The client lost its transaction and began a new epoch."
            raise DoubtError(message)


def progress_group(shard: int) -> str:
    """Return the consumer group that holds a shard's progress."""
    return f"auren-relay-{shard}"


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _worst(futures: Sequence[_Future], failure: BaseException | None) -> Exception:
    """Return the error that says most: a refusal explains all that followed it."""
    errors = [
        future.exception for future in futures if future.is_done and future.exception
    ]
    if failure is not None:
        errors.append(failure)
    for wanted in (Meaning.FENCED, Meaning.REFUSED, Meaning.MISCONFIGURED):
        for error in errors:
            if meaning_of(error) is wanted:
                return translated(error, doing="sending")
    if not errors:
        return DoubtError("Records were not acknowledged in time.")
    return translated(errors[0], doing="sending")


def _receipt(future: _Future) -> Receipt:
    return Receipt(partition=future.value.partition, offset=future.value.offset)

"""A broker in memory with Kafka's rules for transactions, for tests that decide the order.

Transactions, fencing by transactional id, progress that waits for open transactions,
and what a read_committed or read_uncommitted reader sees.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from biometrics.publishing.producers import (
    DoubtError,
    FencedError,
    Objection,
    OutgoingRecord,
    Progress,
    Receipt,
    RefusedError,
    UnreachableError,
)

PARTITIONS = 4


@dataclass(slots=True, kw_only=True)
class StoredRecord:
    """A record as it lies in a partition. `state` is that of its transaction."""

    record: OutgoingRecord
    transaction: Transaction


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One transaction: open, committed or aborted."""

    state: str = "open"
    progress: Progress | None = None


@dataclass(slots=True)
class MemoryBroker:
    """What outlives every producer.

    `refuses` says which records are poison, `max_bytes` how long a value may be. `away`
    makes every call fail as if the broker could not be reached.
    """

    refuses: Callable[[OutgoingRecord], bool] = lambda _record: False
    away: bool = False
    max_bytes: int | None = None
    epochs: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[str, Transaction] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    partitions: defaultdict[tuple[str, int], list[StoredRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def init(self, transactional_id: str) -> int:
        """Abort what the id has open; return its new epoch, the only one that counts."""
        self.check_reachable()
        transaction = self.open.pop(transactional_id, None)
        if transaction is not None:
            transaction.state = "aborted"
        self.epochs[transactional_id] += 1
        return self.epochs[transactional_id]

    def append(self, record: OutgoingRecord, transaction: Transaction) -> Receipt:
        """Add a record to its partition; raises RefusedError for poison."""
        if self.refuses(record):
            message = "The record is refused (memory broker)."
            raise RefusedError(message)
        if self.max_bytes is not None and len(record.value) > self.max_bytes:
            message = "The record is too large (memory broker)."
            raise RefusedError(message, code="too_large")
        partition = zlib.crc32(record.key) % PARTITIONS
        log = self.partitions[record.topic, partition]
        log.append(StoredRecord(record=record, transaction=transaction))
        return Receipt(partition=partition, offset=len(log) - 1)

    def finish(self, transaction: Transaction) -> None:
        """Commit: records become visible and the progress counts."""
        transaction.state = "committed"
        if transaction.progress is not None:
            self.progress[transaction.progress.shard] = transaction.progress

    def check_reachable(self) -> None:
        """Raise UnreachableError while the broker is away."""
        if self.away:
            message = "The memory broker is away."
            raise UnreachableError(message)

    def read(self, topic: str, *, committed: bool = True) -> list[OutgoingRecord]:
        """Return a topic's records, partition by partition, as a reader sees them.

        A read_committed reader stops at the first record of an open transaction.
        """
        seen: list[OutgoingRecord] = []
        for name, partition in sorted(self.partitions):
            if name == topic:
                seen.extend(self._visible(self.partitions[name, partition], committed))
        return seen

    def _visible(
        self,
        log: Sequence[StoredRecord],
        committed: bool,  # noqa: FBT001 - private
    ) -> list[OutgoingRecord]:
        visible = []
        for stored in log:
            if committed and stored.transaction.state == "open":
                break
            if not committed or stored.transaction.state == "committed":
                visible.append(stored.record)
        return visible


class MemoryRecordProducer:
    """A producer on a MemoryBroker."""

    def __init__(self, *, broker: MemoryBroker, transactional_id: str) -> None:
        self._broker = broker
        self._id = transactional_id
        self._epoch = broker.init(transactional_id) if transactional_id else 0
        self._staged: Transaction | None = None
        self._discarded = False

    @property
    def transactional_id(self) -> str:
        """Return the id under which it can be fenced; empty when it has none."""
        return self._id

    def refusal(self, record: OutgoingRecord) -> Objection | None:
        """Refuse a topic's name that no broker accepts."""
        if not record.topic.strip():
            return Objection(code="bad_topic", reason="The topic's name is empty.")
        return None

    def stage(
        self,
        *,
        records: Sequence[OutgoingRecord],
        progress: Progress | None,
        deadline: float,
    ) -> list[Receipt]:
        """Open a transaction with these records and the progress."""
        self._check()
        transaction = Transaction(progress=progress)
        if self._id:
            self._broker.open[self._id] = transaction
            self._staged = transaction
        else:
            # Outside of a transaction a record is visible at once.
            transaction.state = "committed"
        return [self._broker.append(record, transaction) for record in records]

    def commit(self, *, deadline: float) -> None:
        """Commit what was staged."""
        self._check()
        if self._staged is None:
            return
        self._broker.finish(self._staged)
        self._broker.open.pop(self._id, None)
        self._staged = None

    def discard(self) -> None:
        """Forget it; an open transaction stays open until its id is fenced."""
        self._discarded = True

    def _check(self) -> None:
        if self._discarded:
            message = "This producer was discarded."
            raise DoubtError(message)
        if self._broker.away:
            message = "The memory broker does not answer."
            raise DoubtError(message)
        if self._id and self._broker.epochs[self._id] != self._epoch:
            message = f"{self._id} was fenced."
            raise FencedError(message)


class MemoryCluster:
    """The cluster protocol over a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker

    def build(
        self,
        *,
        transactional_id: str,
        deadline: float,
    ) -> MemoryRecordProducer:
        """Return a producer whose id is initialised."""
        self.broker.check_reachable()
        return MemoryRecordProducer(
            broker=self.broker, transactional_id=transactional_id
        )

    def fence(self, *, transactional_id: str, deadline: float) -> None:
        """End the open transaction of this id and bar its producer for ever."""
        self.broker.init(transactional_id)

    def committed(self, *, shard: int, deadline: float) -> Progress | None:
        """Return the shard's committed progress; times out while one is open."""
        self.broker.check_reachable()
        for transaction in self.broker.open.values():
            if transaction.progress and transaction.progress.shard == shard:
                message = f"Progress of shard {shard} is held by an open transaction."
                raise UnreachableError(message)
        return self.broker.progress.get(shard)

"""What the relay needs of Kafka, and nothing more.

Two implementations hold the same contract: `kafka` is the real one, `memory` is a broker
in this process for tests that decide who runs when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from biometrics.errors import (
    ConfigurationError,
    PermanentPublishError,
    RetryablePublishError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRecord:
    """One record as it goes on the wire; the key decides its partition."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a shard has come, stored in Kafka by the same transaction as its records.

    `database_id` names the outbox whose batch numbers these are.
    """

    shard: int
    seq: int
    database_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where a record lies; visible to read_committed readers once its batch committed."""

    partition: int
    offset: int


class DoubtError(RetryablePublishError):
    """What became of the transaction is unknown until its producer has been fenced."""


class FencedError(DoubtError):
    """Somebody else has fenced this producer: it can never commit again."""


class UnreachableError(RetryablePublishError):
    """Kafka could not be asked; nothing was sent."""


class MisconfiguredError(ConfigurationError, RetryablePublishError):
    """Kafka refuses us, not a record: access rights, version, topics or settings."""


RefusalCode: TypeAlias = Literal["too_large", "bad_topic", "invalid", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a record can never be sent; `reason` quotes nothing of its value."""

    code: RefusalCode
    reason: str


class RefusedError(PermanentPublishError):
    """The broker refuses a record of the batch for good; nothing was committed."""

    def __init__(self, detail: str, *, code: RefusalCode = "refused") -> None:
        super().__init__(detail)
        self.code: RefusalCode = code


class RecordProducer(Protocol):
    """One producer with an id of its own, used by one thread of one process.

    After any error of `stage` or `commit` it must be discarded.
    """

    @property
    def transactional_id(self) -> str:
        """Return the id under which it can be fenced; empty when it has none."""
        ...

    def refusal(self, record: OutgoingRecord) -> Objection | None:
        """Say why this record can never be sent, without sending anything."""
        ...

    def stage(
        self,
        *,
        records: Sequence[OutgoingRecord],
        progress: Progress | None,
        deadline: float,
    ) -> list[Receipt]:
        """Open a transaction with these records and the progress, all acknowledged.

        `deadline` is in `time.monotonic`. Raises RefusedError, DoubtError,
        MisconfiguredError. Without an id the records are final when this returns.
        """
        ...

    def commit(self, *, deadline: float) -> None:
        """Commit what was staged. Raises DoubtError; then only a fencing can tell."""
        ...

    def discard(self) -> None:
        """Throw it away at once: nothing more is sent, nothing is committed or aborted."""
        ...


class Cluster(Protocol):
    """The cluster as the relay sees it. Raises UnreachableError or MisconfiguredError."""

    def build(self, *, transactional_id: str, deadline: float) -> RecordProducer:
        """Return a producer whose id is initialised; a plain one for an empty id."""
        ...

    def fence(self, *, transactional_id: str, deadline: float) -> None:
        """End the open transaction of this id and bar its producer for ever.

        When it returns, the outcome of every transaction of that producer is final.
        """
        ...

    def committed(self, *, shard: int, deadline: float) -> Progress | None:
        """Return the shard's committed progress, None when there is none.

        Waits while a transaction that holds a newer one is open.
        """
        ...

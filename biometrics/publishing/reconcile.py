"""After a doubt: fence, read the committed progress, bring the database in line. In order.

Reading before fencing would be worthless: the old holder could still commit. Naming a
new holder before all three steps are done would be fatal: if the taker died in between,
the next one would fence the wrong producer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from biometrics import leases, outbox
from biometrics.errors import BiometricsError
from biometrics.models import PublishBatch
from biometrics.publishing import claims, parking
from biometrics.publishing.claims import ShardState
from biometrics.publishing.parking import Refusal
from biometrics.publishing.producers import Cluster, Progress

logger = logging.getLogger(__name__)

_AFTER_RESTORE = (
    "Nothing is sent meanwhile. manage.py outbox compare says what Kafka has already; "
    "docs/deploy.md, Restore, has the steps."
)


class AlarmError(BiometricsError):
    """Database and Kafka contradict each other: stop this shard, a person decides."""


class Finding(Enum):
    """What the committed progress says about the open batch."""

    NOTHING = auto()
    PUBLISHED = auto()
    VOID = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database knows; `open_seq` is None without an open batch.

    `published_seq` is the newest batch whose progress Kafka had acknowledged.
    """

    shard: int
    database_id: str
    next_seq: int
    published_seq: int
    open_seq: int | None


def judge(*, facts: Facts, progress: Progress | None) -> Finding:
    """Return what became of the open batch; raises AlarmError rather than guess."""
    seq = progress.seq if progress else 0
    problem = _contradiction(facts, seq, progress)
    if problem:
        raise AlarmError(problem)
    if facts.open_seq is None:
        return Finding.NOTHING
    return Finding.PUBLISHED if facts.open_seq == seq else Finding.VOID


def _contradiction(facts: Facts, seq: int, progress: Progress | None) -> str | None:
    if progress and progress.database_id != facts.database_id:
        return (
            f"Kafka's progress of shard {facts.shard} was written by the database "
            f"{progress.database_id}: two bridges share a cluster, or this database "
            "is a copy."
        )
    if seq >= facts.next_seq:
        return (
            f"Kafka has batch {seq} of shard {facts.shard}, but here the next number is "
            f"{facts.next_seq}: the database was restored from a backup. "
            f"{_AFTER_RESTORE}"
        )
    if facts.open_seq is None:
        return None
    if facts.open_seq < seq:
        return (
            f"Batch {facts.open_seq} of shard {facts.shard} is open, but Kafka already "
            f"has batch {seq}: the database was restored from a backup. "
            f"{_AFTER_RESTORE}"
        )
    if seq < facts.published_seq:
        return (
            f"Kafka's progress of shard {facts.shard} is {seq or 'gone'} although batch "
            f"{facts.published_seq} was published; batch {facts.open_seq} may be in "
            "Kafka or not."
        )
    return None


def ask(*, state: ShardState, cluster: Cluster, deadline: float) -> Progress | None:
    """Return the committed progress of a shard, its last holder fenced if in doubt.

    After the fencing the outcome of every transaction of that holder is final.
    """
    if not state.is_clean:
        cluster.fence(transactional_id=state.holder, deadline=deadline)
    return cluster.committed(shard=state.lease.shard, deadline=deadline)


def apply(
    *, state: ShardState, progress: Progress | None, database_id: UUID, now: datetime
) -> Finding:
    """Close the open batch by what `ask` returned; the shard is clean afterwards.

    A message that was refused alone is parked with all later ones of its person.
    Raises AlarmError, then nothing has changed.
    """
    batch = claims.open_batch(state.lease.shard)
    culprit = parking.refused_alone(batch=batch) if batch else None
    with leases.transact():
        if culprit is not None:
            # Whoever appends holds the person first and waits for rows later, so the
            # person comes before the lease here too.
            outbox.lock_person(subject=culprit.subject)
        leases.hold(lease=state.lease, now=now, is_clean=True)
        finding = _finding(state, batch, progress, database_id)
        _close(batch, finding, culprit=culprit, now=now)
        if finding is Finding.PUBLISHED and progress is not None:
            leases.hold(
                lease=state.lease,
                now=now,
                published_seq=progress.seq,
                progress_at=now,
            )
    _tell(state, progress, finding)
    return finding


def _tell(state: ShardState, progress: Progress | None, finding: Finding) -> None:
    context = {"shard": state.lease.shard, "finding": finding.name.lower()}
    seq = progress.seq if progress else 0
    if seq < state.published_seq:
        # Nothing is in doubt, so this is no reason to stop; but Kafka forgot something.
        logger.warning(
            "publish.progress_behind",
            extra={**context, "kafka": seq, "database": state.published_seq},
        )
    elif not state.is_clean:
        logger.info("publish.reconciled", extra=context)


def _finding(
    state: ShardState,
    batch: PublishBatch | None,
    progress: Progress | None,
    database_id: UUID,
) -> Finding:
    if batch is not None and not batch.holder:
        # Sent without a transaction: it may be there, and is sent again.
        return Finding.VOID
    return judge(facts=_facts(state, batch, database_id), progress=progress)


def _facts(state: ShardState, batch: PublishBatch | None, database_id: UUID) -> Facts:
    return Facts(
        shard=state.lease.shard,
        database_id=str(database_id),
        next_seq=state.next_seq,
        published_seq=state.published_seq,
        open_seq=None if batch is None else batch.seq,
    )


def _close(
    batch: PublishBatch | None,
    finding: Finding,
    *,
    culprit: Refusal | None,
    now: datetime,
) -> None:
    if batch is None:
        return
    if finding is Finding.PUBLISHED:
        claims.mark_found_published(batch_id=batch.id, now=now)
        return
    claims.void(batch_id=batch.id, is_refused=bool(batch.refused), now=now)
    if culprit is not None:
        parking.park(refusal=culprit, now=now)

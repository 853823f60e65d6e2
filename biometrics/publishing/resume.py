"""Ending an alarm: a person says what became of the batch that nobody can know about."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from biometrics import audit, leases
from biometrics.errors import BiometricsError
from biometrics.leases import Lease
from biometrics.models import ShardLease
from biometrics.models.outbox import LeaseStep
from biometrics.publishing import claims
from biometrics.publishing.claims import ShardState
from biometrics.publishing.own import new_transactional_id
from biometrics.publishing.producers import Cluster, Progress

# What an operator says of the open batch: in Kafka, or to be sent again.
Verdict: TypeAlias = Literal["published", "pending"]

_SECONDS = 20.0


class NoAlarmError(BiometricsError):
    """There is no alarm to end, or the shard is being worked on."""


def resume(
    *,
    shard: int,
    open_batch: Verdict,
    cluster: Cluster,
    database_id: UUID,
    actor: str,
    reason: str,
    now: datetime,
) -> int:
    """Make Kafka and the database agree and let the shard publish again.

    The shard's numbers go on above everything that either side knows. Returns the
    number from which they do. A failure on the way leaves the alarm as it was; call
    it again.
    """
    state = take(shard, now)
    deadline = time.monotonic() + _SECONDS
    if state.holder:
        cluster.fence(transactional_id=state.holder, deadline=deadline)
    found = cluster.committed(shard=shard, deadline=deadline)
    newest = max(found.seq if found else 0, state.next_seq - 1)
    _write_progress(
        state.lease,
        cluster,
        Progress(shard=shard, seq=newest, database_id=str(database_id)),
        now=now,
        deadline=deadline,
    )
    with leases.transact():
        leases.hold(lease=state.lease, now=now)
        _close(shard, open_batch, now)
        audit.note(
            actor=actor,
            verb="outbox.resume",
            target=f"shard {shard}",
            reason=reason,
            now=now,
            detail={"open_batch": open_batch, "next_seq": newest + 1},
        )
        leases.release(
            lease=state.lease,
            now=now,
            alarm="",
            is_clean=True,
            published_seq=newest,
            progress_at=now,
        )
    return newest + 1


def take(shard: int, now: datetime) -> ShardState:
    """Take a shard that an alarm has stopped; raises NoAlarmError when it cannot be."""
    row = ShardLease.objects.filter(step=LeaseStep.PUBLISH, shard=shard).first()
    if row is None or not row.alarm:
        message = f"Shard {shard} has no alarm; see manage.py outbox status."
        raise NoAlarmError(message)
    with leases.transact():
        state = claims.take(shard=shard, now=now)
    if state is None:
        message = f"Shard {shard} is being worked on; try again in half a minute."
        raise NoAlarmError(message)
    return state


def _write_progress(
    lease: Lease,
    cluster: Cluster,
    progress: Progress,
    *,
    now: datetime,
    deadline: float,
) -> None:
    """Commit progress alone, under a name that a later attempt can fence."""
    producer = cluster.build(transactional_id=new_transactional_id(), deadline=deadline)
    try:
        leases.hold(
            lease=lease,
            now=now,
            holder=producer.transactional_id,
            is_clean=False,
            next_seq=progress.seq + 1,
        )
        producer.stage(records=[], progress=progress, deadline=deadline)
        producer.commit(deadline=deadline)
    finally:
        producer.discard()


def _close(shard: int, verdict: Verdict, now: datetime) -> None:
    batch = claims.open_batch(shard)
    if batch is None:
        return
    if verdict == "published":
        claims.mark_found_published(batch_id=batch.id, now=now)
    else:
        claims.void(batch_id=batch.id, is_refused=False, now=now)

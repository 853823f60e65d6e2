"""After a restore: which waiting messages are in Kafka already, so that none goes twice.

A backup knows less than the topics. A message that was published after it waits in the
restored database as if it had never been sent; so does one that processing makes anew,
since the same revision of a record has the same id. Both are told by their `ce_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from biometrics import audit, leases
from biometrics.models import OutboxMessage, ShardLease
from biometrics.models.outbox import LeaseStep, MessageStatus
from biometrics.publishing import marks, resume
from biometrics.publishing.producers import Receipt

_STEP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a stopped shard has waiting, against what the topics hold.

    `published` are waiting messages that are in Kafka, with the place of each;
    `waiting` counts all of them. `open_batch` is what to say of it when resuming.
    """

    shard: int
    waiting: int
    open_batch: resume.Verdict
    published: Mapping[int, Receipt] = field(default_factory=dict)


def stopped_shards() -> list[int]:
    """Return the shards that an alarm has stopped."""
    alarms = ShardLease.objects.filter(step=LeaseStep.PUBLISH).exclude(alarm="")
    return list(alarms.order_by("shard").values_list("shard", flat=True))


def compare(
    *, shards: Iterable[int], records: Iterable[tuple[UUID, Receipt]]
) -> list[Comparison]:
    """Compare stopped shards with records, given by `ce_id` in any order; writes nothing."""
    known: dict[int, dict[int, Receipt]] = {shard: {} for shard in shards}
    in_batch: dict[int, set[int]] = {shard: set() for shard in known}
    waiting: dict[UUID, tuple[int, int]] = {}
    rows = OutboxMessage.objects.filter(
        shard__in=known, status__in=[MessageStatus.PENDING, MessageStatus.IN_BATCH]
    ).values_list("ce_id", "id", "shard", "status")
    for ce_id, number, shard, status in rows.iterator():
        waiting[ce_id] = (number, shard)
        if status == MessageStatus.IN_BATCH:
            in_batch[shard].add(number)
    for ce_id, receipt in records:
        if ce_id in waiting:
            number, shard = waiting[ce_id]
            known[shard].setdefault(number, receipt)
    return [
        Comparison(
            shard=shard,
            waiting=sum(1 for _, where in waiting.values() if where == shard),
            # One transaction holds the whole batch: any of its records stands for all.
            open_batch="published" if in_batch[shard] & found.keys() else "pending",
            published=found,
        )
        for shard, found in known.items()
    ]


def mark(comparison: Comparison, *, actor: str, reason: str, now: datetime) -> int:
    """Mark the waiting messages that are in Kafka as published; return how many.

    The shard stays stopped: `resume` decides about its open batch and lets it go on.
    Raises NoAlarmError when it is not stopped, or is being worked on.
    """
    state = resume.take(comparison.shard, now)
    done = 0
    numbers = sorted(comparison.published)
    with leases.transact():
        leases.hold(lease=state.lease, now=now)
        for start in range(0, len(numbers), _STEP):
            pending = OutboxMessage.objects.filter(
                id__in=numbers[start : start + _STEP], status=MessageStatus.PENDING
            )
            ids = list(pending.order_by("id").values_list("id", flat=True))
            marks.published(
                ids=ids, receipts=[comparison.published[n] for n in ids], now=now
            )
            done += len(ids)
        audit.note(
            actor=actor,
            verb="outbox.compare",
            target=f"shard {comparison.shard}",
            reason=reason,
            now=now,
            detail={"published": done},
        )
        leases.release(lease=state.lease, now=now)
    return done

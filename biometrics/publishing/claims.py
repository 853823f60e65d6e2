"""The database side of the relay: taking a shard, binding messages to a batch, closing it.

Every function that writes is one transaction that first proves the lease. The unique
index on the open batch of a shard is the last guard: the database refuses a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from biometrics import leases, outbox
from biometrics.leases import Lease
from biometrics.models import OutboxMessage, PublishBatch, ShardLease
from biometrics.models.outbox import BatchState, LeaseStep, MessageStatus, Priority
from biometrics.publishing import choosing, marks
from biometrics.publishing.choosing import Limits
from biometrics.publishing.producers import Receipt

# Kafka forgets the offsets of a group without members after a week.
KEEP_PROGRESS = timedelta(days=1)

_USE_NUMBER = """
    UPDATE biometrics_shardlease
    SET next_seq = next_seq + 1, holder = %s, is_clean = false
    WHERE step = %s AND shard = %s AND token = %s
    RETURNING *
"""
_URGENT = Q(priority__gt=Priority.NORMAL)


class ClaimedMessage(NamedTuple):
    """A message in hand."""

    id: int
    subject: UUID
    topic: str
    headers: Mapping[str, str]
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An open batch: its messages go into one Kafka transaction, in this order.

    `leaves_more` says that not all that waited had room in it.
    """

    batch_id: int
    seq: int
    messages: tuple[ClaimedMessage, ...]
    leaves_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """What the lease's row says about a shard that was just taken."""

    lease: Lease
    holder: str
    is_clean: bool
    next_seq: int
    published_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a shard looks like from outside, without having its lease."""

    is_free: bool
    is_due: bool
    alarm: str


def look(*, shard: int, now: datetime) -> Look:
    """Return whether a shard can be taken and has anything to do."""
    row = _due(now).filter(shard=shard).first()
    if row is None:
        row = ShardLease.objects.filter(step=LeaseStep.PUBLISH, shard=shard).first()
        if row is None:
            return Look(is_free=True, is_due=choosing.pending(shard).exists(), alarm="")
        return Look(is_free=row.until <= now, is_due=False, alarm=row.alarm)
    return Look(is_free=True, is_due=True, alarm="")


def due_shards(*, now: datetime) -> list[int]:
    """Return the shards that are free and have something to publish or to clear up."""
    leases.ensure()
    return list(_due(now).order_by("shard").values_list("shard", flat=True))


def urgent_shards(*, now: datetime) -> set[int]:
    """Return the due shards among whose messages are some that go first."""
    urgent = OutboxMessage.objects.filter(
        _URGENT, shard=OuterRef("shard"), status=MessageStatus.PENDING
    )
    return set(_due(now).filter(Exists(urgent)).values_list("shard", flat=True))


def take(*, shard: int, now: datetime) -> ShardState | None:
    """Take a shard, None when somebody has it. Call it inside `leases.transact`."""
    row = leases.take_row(step=LeaseStep.PUBLISH, shard=shard, now=now)
    if row is None:
        return None
    return ShardState(
        lease=leases.lease_of(row),
        holder=row.holder,
        is_clean=row.is_clean,
        next_seq=row.next_seq,
        published_seq=row.published_seq,
    )


def claim(*, lease: Lease, holder: str, limits: Limits, now: datetime) -> Claim | None:
    """Bind the next messages to a new open batch; None when there are none.

    An empty batch renews progress that Kafka would forget of an idle shard.

    Names `holder` as the one under whom the shard is published from now on: its producer
    must be initialised, and no transaction of an earlier holder may be in doubt. Call it
    inside `leases.transact`, after the lease was proven.
    """
    messages, leaves_more = _next_messages(lease.shard, limits)
    if not messages and not _is_fading(lease, now):
        return None
    seq = _next_seq(lease, holder)
    batch = PublishBatch.objects.create(
        shard=lease.shard, seq=seq, holder=holder, size=len(messages), created_at=now
    )
    OutboxMessage.objects.filter(id__in=[item.id for item in messages]).update(
        status=MessageStatus.IN_BATCH, batch=batch, attempts=F("attempts") + 1
    )
    return Claim(
        batch_id=batch.id, seq=seq, messages=tuple(messages), leaves_more=leaves_more
    )


def mark_published(*, claim: Claim, receipts: Sequence[Receipt], now: datetime) -> None:
    """Close a batch that is in Kafka. The caller has proven the lease."""
    _close(claim.batch_id, BatchState.PUBLISHED, now)
    marks.published(
        ids=[message.id for message in claim.messages], receipts=receipts, now=now
    )


def mark_found_published(*, batch_id: int, now: datetime) -> None:
    """Close a batch that was found in Kafka; where its records lie is not known."""
    _close(batch_id, BatchState.PUBLISHED, now)
    rows = outbox.locked_in_order(rows=OutboxMessage.objects.filter(batch_id=batch_id))
    rows.update(status=MessageStatus.PUBLISHED, published_at=now, probe=False)


def void(*, batch_id: int, is_refused: bool, now: datetime) -> None:
    """Give a batch up that is not in Kafka: its messages wait again.

    After a refusal they are searched for the poison, unless another search goes on.
    """
    _close(batch_id, BatchState.VOID, now)
    rows = outbox.locked_in_order(rows=OutboxMessage.objects.filter(batch_id=batch_id))
    if is_refused:
        shard = PublishBatch.objects.values_list("shard", flat=True).get(id=batch_id)
        if choosing.ends_search(rows, shard=shard):
            choosing.probed(shard).update(probe=False)
            rows.update(probe=True)
    rows.update(status=MessageStatus.PENDING, batch=None)


def note_refusal(*, batch_id: int, reason: str, code: str) -> None:
    """Remember why the broker refused a batch, for the one who clears up."""
    PublishBatch.objects.filter(id=batch_id).update(
        refused=reason[:500], refused_code=code
    )


def open_batch(shard: int) -> PublishBatch | None:
    """Return the shard's open batch."""
    return PublishBatch.objects.filter(shard=shard, state=BatchState.OPEN).first()


def has_pending(shard: int) -> bool:
    """Return whether messages of the shard wait."""
    return choosing.pending(shard).exists()


def has_urgent(shard: int, *, batch_id: int | None = None) -> bool:
    """Return whether messages of the shard wait that go before other shards' work.

    Those of an open batch that has to be given up are among them.
    """
    in_hand = OutboxMessage.objects.filter(
        batch=batch_id, status=MessageStatus.IN_BATCH
    )
    return choosing.pending(shard).filter(_URGENT).exists() or (
        batch_id is not None and in_hand.filter(_URGENT).exists()
    )


def is_unfinished() -> bool:
    """Return whether messages are on their way, in shards that no alarm has stopped."""
    alarms = ShardLease.objects.filter(step=LeaseStep.PUBLISH).exclude(alarm="")
    return (
        OutboxMessage.objects.filter(
            status__in=[MessageStatus.PENDING, MessageStatus.IN_BATCH]
        )
        .exclude(shard__in=alarms.values("shard"))
        .exists()
    )


def _next_seq(lease: Lease, holder: str) -> int:
    """Use up a number for a batch that `holder` sends."""
    values = [holder, lease.step.value, lease.shard, lease.token]
    for row in ShardLease.objects.raw(_USE_NUMBER, values):
        return row.next_seq - 1
    message = f"The lease on {lease.step} shard {lease.shard} was taken over."
    raise leases.LeaseLostError(message)


def _next_messages(shard: int, limits: Limits) -> tuple[list[ClaimedMessage], bool]:
    """Return the next messages in the order of publishing, and whether some are left.

    Their rows are locked. A row that an operator parked or withdrew meanwhile is left
    out, and so are its successors then; hence the second look.
    """
    while True:
        ids, leaves_more = choosing.chosen(shard, limits)
        if not ids:
            return [], False
        rows = {row.id: row for row in _locked(ids)}
        if rows:
            return [rows[number] for number in ids if number in rows], leaves_more


def _locked(ids: Sequence[int]) -> list[ClaimedMessage]:
    rows = (
        OutboxMessage.objects.filter(id__in=ids, status=MessageStatus.PENDING)
        .order_by("id")
        .select_for_update()
        .values_list("id", "subject", "topic", "headers", "value")
    )
    return [
        ClaimedMessage(number, subject, topic, headers, bytes(value or b""))
        for number, subject, topic, headers, value in rows
    ]


def _due(now: datetime) -> QuerySet[ShardLease]:
    """Return the leases that are free and have work; a shard with an alarm has none."""
    waiting = OutboxMessage.objects.filter(
        shard=OuterRef("shard"), status=MessageStatus.PENDING
    )
    fading = Q(published_seq__gt=0, progress_at__lte=now - KEEP_PROGRESS)
    return ShardLease.objects.filter(
        Q(is_clean=False) | fading | Exists(waiting),
        step=LeaseStep.PUBLISH,
        until__lte=now,
        alarm="",
    )


def _is_fading(lease: Lease, now: datetime) -> bool:
    row = ShardLease.objects.get(step=lease.step, shard=lease.shard)
    renewed = row.progress_at
    return (
        row.published_seq > 0 and renewed is not None and renewed <= now - KEEP_PROGRESS
    )


def _close(batch_id: int, state: BatchState, now: datetime) -> None:
    PublishBatch.objects.filter(id=batch_id).update(state=state, closed_at=now)

"""Step 7: messages wait here, in each person's order, until the relay has sent them.

Whoever appends or changes a person's messages holds that person's row lock
(`Subject`), so ids rise in the order of commits. Many rows are always locked in the
order of their ids, so that appending and relaying cannot deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from biometrics import audit
from biometrics.errors import BiometricsError
from biometrics.messages import NewMessage
from biometrics.models import OutboxMessage, ParkedQueue, Subject, bulk
from biometrics.models.outbox import MessageStatus, ParkCode, Priority
from biometrics.shards import shard_of

__all__ = [
    "NewMessage",
    "OutboxError",
    "append",
    "hold_back",
    "lock_person",
    "locked_in_order",
    "note",
    "park",
    "parked_queue",
    "release",
    "retry",
    "skip",
    "withdraw",
]

_UNPUBLISHED = (MessageStatus.PENDING, MessageStatus.IN_BATCH, MessageStatus.PARKED)


_COLUMNS = (
    *("ce_id", "shard", "subject", "topic", "event_type", "headers", "value"),
    *("priority", "status", "event_id", "alert_id", "probe", "attempts", "error"),
    "created_at",
)


class OutboxError(BiometricsError):
    """The outbox was asked for something that its rules forbid; says what to do."""


def append(*, messages: Sequence[NewMessage], now: datetime) -> set[int]:
    """Add messages in the order given; return the shards that have new work.

    Call it in the transaction that stores what the messages tell, with the rows of all
    their subjects locked. A message of higher priority lifts the person's unpublished
    messages to its own priority, so that it can go first without overtaking them.
    Messages of a person whose queue is parked wait with it.
    """
    if not connection.in_atomic_block:
        message = "outbox.append needs the transaction of the rows that it tells about."
        raise OutboxError(message)
    if not messages:
        return set()
    priorities = _lifted_in_batch(messages)
    _lift(messages)
    parked = _parked_among({message.subject for message in messages})
    rows = [
        _row(message, priority=priority, parked=parked, now=now)
        for message, priority in zip(messages, priorities, strict=True)
    ]
    bulk.insert(OutboxMessage, columns=_COLUMNS, rows=rows)
    return {
        shard_of(str(subject))
        for subject in {message.subject for message in messages} - parked
    }


def park(*, subject: UUID, from_id: int, code: str, reason: str, now: datetime) -> int:
    """Hold a person's messages back from `from_id` on; return how many.

    Takes the person's lock; whoever also needs a lease takes this lock first.
    """
    lock_person(subject=subject)
    rows = locked_in_order(
        rows=OutboxMessage.objects.filter(
            subject=subject, id__gte=from_id, status=MessageStatus.PENDING
        )
    )
    rows.update(status=MessageStatus.PARKED, probe=False, batch=None)
    OutboxMessage.objects.filter(id=from_id).update(error=reason[:500])
    shard = shard_of(str(subject))
    ParkedQueue.objects.update_or_create(
        subject=subject,
        defaults={
            "shard": shard,
            "from_id": from_id,
            "code": code,
            "reason": reason[:500],
            "since": now,
        },
    )
    return OutboxMessage.objects.filter(
        subject=subject, status=MessageStatus.PARKED
    ).count()


def hold_back(*, subject: UUID, actor: str, reason: str, now: datetime) -> int:
    """Park a person's waiting messages on a person's word; return how many wait now.

    What is already in an open batch still goes out.
    """
    with transaction.atomic():
        lock_person(subject=subject)
        first = (
            OutboxMessage.objects.filter(subject=subject, status=MessageStatus.PENDING)
            .order_by("id")
            .values_list("id", flat=True)
            .first()
        )
        if first is None:
            message = f"Nothing of {subject} waits to be published."
            raise OutboxError(message)
        count = park(
            subject=subject,
            from_id=first,
            code=ParkCode.HELD_BACK,
            reason=reason,
            now=now,
        )
        queue = parked_queue(subject)
        note(queue, "outbox.park", actor=actor, reason=reason, now=now, count=count)
    return count


def retry(*, subject: UUID, actor: str, reason: str, now: datetime) -> int:
    """Let a parked person's messages flow again; return how many are due now."""
    with transaction.atomic():
        queue = parked_queue(subject)
        count = release(queue)
        note(queue, "outbox.retry", actor=actor, reason=reason, now=now, count=count)
    return count


def skip(*, subject: UUID, actor: str, reason: str, now: datetime) -> int:
    """Give up the message that a person's queue is parked at; let the others flow.

    The message becomes `dead` and keeps the reason. Returns how many are due now.
    """
    with transaction.atomic():
        queue = parked_queue(subject)
        OutboxMessage.objects.filter(
            id=queue.from_id, status=MessageStatus.PARKED
        ).update(status=MessageStatus.DEAD, error=f"skipped: {reason}"[:500])
        count = release(queue)
        note(queue, "outbox.skip", actor=actor, reason=reason, now=now, count=count)
    return count


def withdraw(*, subject: UUID) -> int:
    """Delete what a person has waiting here; return how many messages.

    Call it with the person's row locked. Raises OutboxError while some are in an open
    batch: they may be on their way, so wait until the relay has decided.
    """
    mine = OutboxMessage.objects.filter(subject=subject)
    waiting = locked_in_order(
        rows=mine.filter(status__in=[MessageStatus.PENDING, MessageStatus.PARKED])
    )
    if mine.filter(status=MessageStatus.IN_BATCH).exists():
        message = "Messages of this person are being published; try again in seconds."
        raise OutboxError(message)
    count, _ = waiting.delete()
    ParkedQueue.objects.filter(subject=subject).delete()
    return count


def lock_person(*, subject: UUID) -> None:
    """Hold a person's row until the transaction ends, as everybody does who appends.

    An erased person has no row any more, and nobody appends for them either.
    """
    Subject.objects.select_for_update().filter(id=subject).first()


def locked_in_order(*, rows: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
    """Lock the rows in the order of their ids; return exactly the locked ones.

    Whoever changes many messages locks them this way, or appending and relaying could
    wait for each other.
    """
    locked = rows.order_by("id").select_for_update().values_list("id", flat=True)
    return OutboxMessage.objects.filter(id__in=list(locked))


def parked_queue(subject: UUID) -> ParkedQueue:
    """Return where a person's messages are held, the person locked.

    Raises OutboxError when nothing of theirs is parked.
    """
    lock_person(subject=subject)
    queue = ParkedQueue.objects.filter(subject=subject).first()
    if queue is None:
        message = f"Nothing of {subject} is parked; see manage.py outbox parked."
        raise OutboxError(message)
    return queue


def release(queue: ParkedQueue) -> int:
    """Let a person's messages flow again, the person locked; return how many."""
    rows = locked_in_order(
        rows=OutboxMessage.objects.filter(
            subject=queue.subject, status=MessageStatus.PARKED
        )
    )
    count = rows.update(status=MessageStatus.PENDING)
    ParkedQueue.objects.filter(subject=queue.subject).delete()
    return count


def note(
    queue: ParkedQueue, verb: str, *, actor: str, reason: str, now: datetime, count: int
) -> None:
    """Write into the audit trail what was decided about a parked person."""
    audit.note(
        actor=actor,
        verb=verb,
        target=audit.of_subject(queue.subject),
        reason=reason,
        now=now,
        detail={
            "from_id": queue.from_id,
            "parked_because": queue.reason,
            "messages": count,
        },
    )


def _row(
    message: NewMessage, *, priority: Priority, parked: set[UUID], now: datetime
) -> tuple[object, ...]:
    """Return the values of _COLUMNS."""
    held = message.subject in parked
    status = MessageStatus.PARKED if held else MessageStatus.PENDING
    return (
        message.ce_id,
        shard_of(str(message.subject)),
        message.subject,
        message.topic,
        message.event_type,
        dict(message.headers),
        message.value,
        priority.value,
        status.value,
        message.event_id,
        message.alert_id,
        *(False, 0, ""),
        now,
    )


def _lifted_in_batch(messages: Sequence[NewMessage]) -> list[Priority]:
    """Return each message's own priority, or that of a later one of the same person."""
    highest: dict[UUID, Priority] = {}
    lifted = []
    for message in reversed(messages):
        own = Priority[message.priority]
        highest[message.subject] = max(own, highest.get(message.subject, own))
        lifted.append(highest[message.subject])
    return lifted[::-1]


def _lift(messages: Iterable[NewMessage]) -> None:
    """Raise what these persons have unpublished, an open batch included.

    Rows of an open batch come back with the higher priority if the batch fails.
    """
    wanted: defaultdict[Priority, set[UUID]] = defaultdict(set)
    for message in messages:
        priority = Priority[message.priority]
        if priority > Priority.NORMAL:
            wanted[priority].add(message.subject)
    for priority in sorted(wanted, reverse=True):
        rows = OutboxMessage.objects.filter(
            subject__in=wanted[priority],
            status__in=_UNPUBLISHED,
            priority__lt=priority,
        )
        locked_in_order(rows=rows).update(priority=priority)


def _parked_among(subjects: set[UUID]) -> set[UUID]:
    queues = ParkedQueue.objects.filter(subject__in=subjects)
    return set(queues.values_list("subject", flat=True))

"""Which messages of a shard go next: by priority, then in the order of their ids.

After a refusal the refused messages are searched for the poison, a part of them at a
time (`probe`). What is more urgent does not wait for the end of that search:

* of what is searched, the most urgent part is tried by itself before the others;
* what came since and is more urgent than all that is searched goes before it;
* what is HIGH and was never tried goes before a search among other HIGH messages too,
  once: else two batches with poison could pass each other for ever.

A person's messages keep their order throughout: appending has lifted whatever a person
has before an urgent message, and what is searched was tried before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, QuerySet
from django.db.models.functions import Length

from biometrics.models import OutboxMessage
from biometrics.models.outbox import MessageStatus, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much goes into one batch."""

    messages: int
    value_bytes: int


def chosen(shard: int, limits: Limits) -> tuple[list[int], bool]:
    """Return the ids of the next messages, and whether others wait behind them."""
    rows = probed(shard).order_by("-priority", "id")
    searched = list(rows.values_list("id", "priority"))
    if not searched:
        return _fitting(pending(shard), limits)
    passing, _ = _fitting(_passing(shard, top=searched[0][1]), limits)
    return passing or _piece(searched), True


def ends_search(batch: QuerySet[OutboxMessage], *, shard: int) -> bool:
    """Say whether a refused batch is to be searched from now on, in place of another.

    Not what passed by a search and was refused alone, for then the poison is known; nor
    what passed by one that is as urgent.
    """
    if batch.filter(probe=True).exists():
        return True
    top = probed(shard).aggregate(top=Max("priority"))["top"]
    return top is None or (top < Priority.HIGH and batch.count() > 1)


def pending(shard: int) -> QuerySet[OutboxMessage]:
    """Return what waits in a shard."""
    return OutboxMessage.objects.filter(shard=shard, status=MessageStatus.PENDING)


def probed(shard: int) -> QuerySet[OutboxMessage]:
    """Return what waits and is searched for poison."""
    return pending(shard).filter(probe=True)


def _passing(shard: int, *, top: int) -> QuerySet[OutboxMessage]:
    """Return what goes before a search; of each person it is the first that they have."""
    if top < Priority.HIGH:
        return pending(shard).filter(priority__gt=top)
    urgent = pending(shard).filter(priority=Priority.HIGH)
    return urgent.exclude(subject__in=urgent.filter(attempts__gt=0).values("subject"))


def _piece(searched: Sequence[tuple[int, int]]) -> list[int]:
    """Return the part of the searched that is tried next; smaller than all of them."""
    top = searched[0][1]
    urgent = [number for number, priority in searched if priority == top]
    if len(urgent) < len(searched):
        return urgent
    return urgent[: max(1, len(urgent) // 2)]


def _fitting(
    waiting: QuerySet[OutboxMessage, Any], limits: Limits
) -> tuple[list[int], bool]:
    """Return the first of them that fit into a batch, and whether some did not."""
    sized = (
        waiting.order_by("-priority", "id")
        .annotate(size=Length("value"))
        .values_list("id", "size")[: limits.messages + 1]
    )
    found: list[int] = []
    room = limits.value_bytes
    for number, size in sized:
        room -= size or 0
        if found and (room < 0 or len(found) == limits.messages):
            return found, True
        found.append(number)
    return found, False

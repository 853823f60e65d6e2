"""Who works on a shard: one holder for each step and shard, taken over when it dies.

A lease is a row. It is taken by a conditional UPDATE that raises its token; every later
write of the holder first updates the row where the token is still its own, so a holder
that slept past its time cannot write any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from biometrics.errors import BiometricsError
from biometrics.models import ShardLease
from biometrics.models.outbox import LeaseStep

LEASE_SECONDS = 30.0
_BEHIND_S = 5.0
_TAKE = """
    UPDATE biometrics_shardlease SET token = token + 1, until = %s
    WHERE step = %s AND shard = %s AND until <= %s
    RETURNING *
"""
_BEGINNING = datetime.fromtimestamp(0, tz=UTC)


class LeaseLostError(BiometricsError):
    """Somebody else holds the lease now: stop, write nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease in hand; `token` proves it."""

    step: LeaseStep
    shard: int
    token: int


@contextmanager
def transact() -> Iterator[None]:
    """Open a transaction that cannot hold a lease's row for long, whatever happens.

    PostgreSQL ends the transaction of a process that stopped in the middle; SQLite has
    one writer at a time and waits for it.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET LOCAL lock_timeout = '2s';"
                    "SET LOCAL idle_in_transaction_session_timeout = '20s'"
                )
        yield


def take(
    *, step: LeaseStep, shard: int, now: datetime, seconds: float | None = None
) -> Lease | None:
    """Take the lease when it is free or has run out, None when somebody holds it."""
    with transact():
        row = take_row(step=step, shard=shard, now=now, seconds=seconds)
    return None if row is None else lease_of(row)


def take_row(
    *, step: LeaseStep, shard: int, now: datetime, seconds: float | None = None
) -> ShardLease | None:
    """Take the lease like `take`, inside a transaction of the caller's.

    Returns its row as it is now.
    """
    row = _take_free(step=step, shard=shard, now=now, seconds=seconds)
    if row is None and not ShardLease.objects.filter(step=step, shard=shard).exists():
        ensure()
        row = _take_free(step=step, shard=shard, now=now, seconds=seconds)
    return row


def lease_of(row: ShardLease) -> Lease:
    """Return the lease that whoever took this row has in hand."""
    return Lease(step=LeaseStep(row.step), shard=row.shard, token=row.token)


def hold(
    *, lease: Lease, now: datetime, seconds: float | None = None, **changes: object
) -> None:
    """Prove and prolong the lease: the first write of every transaction of a holder.

    `changes` are further columns of the row. Raises LeaseLostError; the caller's
    transaction must then not commit. The row stays locked until that transaction ends.
    """
    length = LEASE_SECONDS if seconds is None else seconds
    if not _write(lease, now, length, changes):
        message = f"The lease on {lease.step} shard {lease.shard} was taken over."
        raise LeaseLostError(message)


def release(
    *, lease: Lease, now: datetime, after: float = 0.0, **changes: object
) -> bool:
    """Give the lease back, free for others `after` seconds from now.

    False when it had been lost already, which harms nobody.
    """
    # A little in the past: the next taker's clock may be a moment behind ours.
    return _write(lease, now, after or -_BEHIND_S, changes)


def shared_clock(*, own: Callable[[], datetime]) -> Callable[[], datetime]:
    """Return a clock that shows the database's time, by one question to it.

    Leases of several hosts are compared with each other: a host whose own clock is
    wrong must neither take them too early nor hold them too long. SQLite means one host,
    whose `own` clock is returned.
    """
    if connection.vendor != "postgresql":
        return own
    with connection.cursor() as cursor:
        asked = time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        (started,) = cursor.fetchone()

    def now() -> datetime:
        moment: datetime = started + timedelta(seconds=time.monotonic() - asked)
        return moment

    return now


def ensure() -> None:
    """Make sure that every shard has its leases."""
    wanted = len(LeaseStep) * settings.SHARDS
    if ShardLease.objects.filter(shard__lt=settings.SHARDS).count() == wanted:
        return
    ShardLease.objects.bulk_create(
        (
            ShardLease(step=step, shard=shard, until=_BEGINNING)
            for step in LeaseStep
            for shard in range(settings.SHARDS)
        ),
        ignore_conflicts=True,
    )


def _take_free(
    *, step: LeaseStep, shard: int, now: datetime, seconds: float | None
) -> ShardLease | None:
    """Raise the token and read the row in one statement: a turn begins with it."""
    length = LEASE_SECONDS if seconds is None else seconds
    adapt = connection.ops.adapt_datetimefield_value
    values = [adapt(now + timedelta(seconds=length)), step.value, shard, adapt(now)]
    return next(iter(ShardLease.objects.raw(_TAKE, values)), None)


def _write(
    lease: Lease, now: datetime, seconds: float, changes: Mapping[str, object]
) -> bool:
    row = ShardLease.objects.filter(
        step=lease.step, shard=lease.shard, token=lease.token
    )
    return bool(row.update(until=now + timedelta(seconds=seconds), **changes))

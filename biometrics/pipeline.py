"""Steps 4 to 7 in their order.

Fetch what notifications announce (no transaction open), read every delivery, then, in
one transaction for the batch: `steps.store` what they say, append to the outbox, note
each end. What goes wrong with one delivery parks it alone.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from biometrics import (
    deliveries,
    enrich,
    leases,
    metrics,
    nudges,
    outbox,
    payload_rows,
    payloads,
    steps,
    stopping,
    tracing,
)
from biometrics.connections import client, registry
from biometrics.connections.downloads import LONGEST_S
from biometrics.items import Item, ending_of, open_item, stranded
from biometrics.leases import Lease, LeaseLostError
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import LeaseStep
from biometrics.normalise import asking_again
from biometrics.shards import shard_of

logger = logging.getLogger(__name__)

_MAX_ROWS = 500
_MAX_BYTES = 8 * 1024 * 1024
_LONG_LEASE_S = leases.LEASE_SECONDS + LONGEST_S
# PostgreSQL: lock not available, deadlock detected, serialization failure.
_CONTENDED = frozenset({"55P03", "40P01", "40001"})
_NOT_ITS_FAULT = (OperationalError, InterfaceError, LeaseLostError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOutcome:
    """What a run over a shard did, for those who nudge.

    `publish_shards` have new messages, the `urgent_shards` among them urgent ones.
    """

    deliveries: int = 0
    publish_shards: frozenset[int] = frozenset()
    urgent_shards: frozenset[int] = frozenset()
    more_due: bool = False


def due_process_shards(*, now: datetime) -> set[int]:
    """Return the shards that have deliveries to be worked on."""
    registry.release_linked()
    return deliveries.due_shards(now=now)


def process_shard(
    *, shard: int, now: Callable[[], datetime], budget_s: float
) -> ProcessOutcome:
    """Carry due deliveries of a shard to the outbox, batch by batch, for `budget_s`.

    What comes in meanwhile is left to the next turn, which `more_due` asks for: a turn
    costs the same for one delivery as for a hundred. Does nothing while another holder
    works on the shard. Raises OperationalError or InterfaceError while the database is
    away, and SoftTimeLimitExceeded when Celery ends the task; what was not committed is
    done again, after the latter one by one: one of them takes too long.
    """
    run, started = _Run(shard=shard, now=now), now()
    try:
        with _patient(shard):
            while run.batch() and (now() - started).total_seconds() < budget_s:
                pass
    except LeaseLostError:
        logger.warning("process.lease_lost", extra={"shard": shard})
    finally:
        run.release()
    if run.lease is None:
        return ProcessOutcome()
    # Asked after the release: a row that came since has its own nudge, or this one.
    return ProcessOutcome(
        deliveries=run.done,
        publish_shards=frozenset(run.publish_shards),
        urgent_shards=frozenset(run.urgent_shards),
        more_due=deliveries.is_due(shard=shard, now=now()),
    )


@contextlib.contextmanager
def _patient(shard: int) -> Iterator[None]:
    """Leave quietly when somebody held a lock for too long: the next run is luckier."""
    try:
        yield
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) not in _CONTENDED:
            raise
        logger.info("process.contended", extra={"shard": shard})


@dataclass(slots=True, kw_only=True)
class _Run:
    """One holder's work on a shard; without a lease it has not begun."""

    shard: int
    now: Callable[[], datetime]
    lease: Lease | None = None
    done: int = 0
    publish_shards: set[int] = field(default_factory=set)
    urgent_shards: set[int] = field(default_factory=set)
    since: int = 0

    def batch(self) -> bool:
        """Work off the next deliveries; False when that was all, or we are stopped."""
        if stopping.is_asked():
            return False
        lease, now = self.lease, self.now()
        with leases.transact():
            if lease is None:
                row = leases.take_row(step=LeaseStep.PROCESS, shard=self.shard, now=now)
                if row is None:
                    return False
                lease = leases.lease_of(row)
            else:
                leases.hold(lease=lease, now=now)
            rows, leaves_more = deliveries.begin(
                shard=self.shard, now=now, max_rows=_MAX_ROWS, max_bytes=_MAX_BYTES
            )
        # Ours only with the commit.
        self.lease = lease
        if not rows:
            return False
        self.since = tracing.clock()
        try:
            self._work(rows)
        except _NOT_ITS_FAULT:
            # The worker lives, so this was no death; best effort, as the database goes.
            with contextlib.suppress(DatabaseError, InterfaceError):
                deliveries.take_back(rows)
            raise
        self.done += len(rows)
        return leaves_more

    def release(self) -> None:
        """Give the shard back; without this write the lease runs out by itself."""
        if self.lease is not None:
            with contextlib.suppress(DatabaseError, InterfaceError):
                leases.release(lease=self.lease, now=self.now())

    def _work(self, rows: Sequence[WebhookDelivery]) -> None:
        began = time.monotonic()
        kept = deliveries.documents_of([row.id for row in rows])
        items = [open_item(row, documents=kept.get(row.id)) for row in rows]
        # What is here already does not wait for what a vendor has yet to answer.
        self._carry([item for item in items if not item.is_to_fetch])
        announced = [item for item in items if item.is_to_fetch]
        notified = [item for item in announced if not item.is_payload_announced]
        self._fetch(notified)
        self._carry(notified)
        # Last: how long they take is known only once they are here.
        for fetched in payloads.in_turns(
            [item for item in announced if item.is_payload_announced],
            now=self.now,
            began=began,
            prolong=self._prolong,
        ):
            self._carry(fetched)

    def _prolong(self) -> None:
        """Make sure that the lease outlives a long download."""
        assert self.lease is not None
        with leases.transact():
            leases.hold(lease=self.lease, now=self.now(), seconds=_LONG_LEASE_S)

    def _fetch(self, items: Sequence[Item]) -> None:
        """Take step 4."""
        if not items:
            return
        known = registry.lookup(item.account for item in items)
        erased = registry.erased_among({i.account for i in items} - known.keys())
        wanted = []
        for item in items:
            connection = known.get(item.account)
            if connection is None:
                item.disposition = stranded(item, erased=erased)
            else:
                wanted.append(item.wanted(connection))
        fetched = enrich.fetch_all(
            wanted,
            open_source=partial(client.open_session, now=self.now),
            now=self.now,
        )
        for item in items:
            found = fetched.get(item.delivery.id, ())
            if isinstance(found, enrich.Missing):
                item.disposition = found.disposition
                item.needs_reconnect = found.needs_reconnect
            else:
                item.add_documents(found)

    def _carry(self, items: Sequence[Item]) -> None:
        """Take steps 5 to 7 for these deliveries, in halves when they fail together."""
        if not items:
            return
        for item in items:
            if item.disposition is None and item.understood is None:
                item.understood = item.read()
        try:
            self._write(items)
        except (*_NOT_ITS_FAULT, SoftTimeLimitExceeded):
            raise
        # Whatever a row does to us, it must not keep the others waiting.
        except Exception as error:  # noqa: BLE001
            self._isolate(items, error)

    def _isolate(self, items: Sequence[Item], error: Exception) -> None:
        if len(items) > 1:
            half = len(items) // 2
            self._carry(items[:half])
            self._carry(items[half:])
        elif isinstance(error, IntegrityError) and not items[0].was_retried:
            # Somebody connected the account at the same moment: now it is known.
            items[0].was_retried = True
            self._carry(items)
        else:
            items[0].park(error)
            with items[0].followed():
                logger.error("delivery.parked", extra={"error": type(error).__name__})
            self._write(items)

    def _write(self, items: Sequence[Item]) -> None:
        """Take steps 5 to 7 in one transaction: all of it or nothing."""
        assert self.lease is not None
        now = self.now()
        with leases.transact():
            leases.hold(lease=self.lease, now=now)
            told = steps.store(items, now=now)
            ends = {item.delivery.id: ending_of(item) for item in items}
            deliveries.keep_documents(
                {item.delivery.id: item.fetched for item in items if item.fetched}
            )
            deliveries.finish(
                deliveries=[item.delivery for item in items],
                dispositions=ends,
                now=now,
            )
            asking_again.store_followups(
                [item.delivery for item in items if item.is_unfinished], now=now
            )
            new_work = payload_rows.settle(items)
            self.publish_shards |= outbox.append(messages=told, now=now)
        if new_work:
            nudges.nudge_processing(new_work)
        self.urgent_shards |= {
            shard_of(str(message.subject))
            for message in told
            if message.priority == "HIGH"
        } & self.publish_shards
        for item in items:
            self._note_end(item.delivery, ends[item.delivery.id].status)
        # The account may have been connected between our look and our commit.
        registry.release_linked(
            accounts=[
                item.account
                for item in items
                if ends[item.delivery.id].status == DeliveryStatus.UNLINKED
            ]
        )

    def _note_end(self, delivery: WebhookDelivery, end: DeliveryStatus) -> None:
        metrics.DELIVERIES_FINISHED.labels(delivery.vendor, end).inc()
        tracing.record(
            "process",
            since=self.since,
            traceparent=delivery.traceparent,
            vendor=delivery.vendor,
            outcome=end,
        )

"""One turn of the relay on one shard: take, clear up, publish, give back.

The order of the steps is what makes publishing exactly once; docs/publishing.md has the
argument. In short: a producer is named as holder only after its id was initialised; a
lease that is not clean keeps naming its old holder until that one is fenced, its progress
read and the open batch closed; whatever goes wrong, the producer is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import Error as DatabaseError

from biometrics import leases, metrics, outbox, tracing
from biometrics.leases import Lease, LeaseLostError
from biometrics.publishing import claims, dispatch, giving_up, parking, reconcile
from biometrics.publishing.choosing import Limits
from biometrics.publishing.claims import Claim, ShardState
from biometrics.publishing.gate import Gate
from biometrics.publishing.giving_up import State
from biometrics.publishing.own import OwnProducer
from biometrics.publishing.parking import Refusal
from biometrics.publishing.producers import (
    Cluster,
    Progress,
    Receipt,
    RecordProducer,
)
from resilience import CircuitBreakerOpen

# Below the lease (30 s), which is below the transaction's own limit (60 s).
BATCH_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a turn did.

    `more_due` says that the shard has work for another turn at once, `is_urgent` that
    some of it must not wait for other shards; `waiting` that the breaker is open for
    `retry_after` seconds.
    """

    state: State
    published: int = 0
    more_due: bool = False
    is_urgent: bool = False
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a turn works with; `verified` maps shards to the next number seen last."""

    cluster: Cluster
    own: OwnProducer
    limits: Limits
    transactional: bool
    topics: frozenset[str]
    database_id: UUID
    verified: MutableMapping[int, int]
    now: Callable[[], datetime]


class Turn:
    """One turn; `go_on` says whether to begin another batch."""

    def __init__(
        self, *, shard: int, tools: Tools, gate: Gate, go_on: Callable[[], bool]
    ) -> None:
        self._shard = shard
        self._tools = tools
        self._gate = gate
        self._go_on = go_on
        self._lease: Lease | None = None
        self._claim: Claim | None = None
        self._is_clear = False
        self._published = 0
        self._more_due = False
        self._is_urgent = False

    def run(self) -> Outcome:
        """Work on the shard. Raises LeaseLostError and database errors.

        After these the producer must be thrown away, and the lease runs out by itself.
        """
        try:
            return self._work()
        except (LeaseLostError, DatabaseError):
            raise
        # Whatever else goes wrong in the middle of a transaction is a doubt; the client
        # raises errors of many kinds, and one that we did not foresee must not end with
        # a producer that goes on being used.
        except Exception as error:  # noqa: BLE001
            return self._given_up(error)

    def _work(self) -> Outcome:
        producer = self._producer()
        state = self._take(producer)
        if state is None:
            return Outcome(state="busy")
        if not self._is_clear:
            self._clear_up(state)
            producer = self._producer()
            with leases.transact():
                leases.hold(lease=state.lease, now=self._tools.now())
                self._next(producer)
        while self._claim is not None:
            self._publish(producer, self._claim)
        return Outcome(
            state="published" if self._published else "idle",
            published=self._published,
            more_due=self._more_due,
            is_urgent=self._is_urgent,
        )

    def _producer(self) -> RecordProducer:
        own = self._tools.own
        if own.is_ready:
            return own.get(deadline=_soon())
        with self._gate.call():
            return own.get(deadline=_soon())

    def _take(self, producer: RecordProducer) -> ShardState | None:
        """Take the lease; if nothing is in doubt, claim messages at once."""
        with leases.transact():
            state = claims.take(shard=self._shard, now=self._tools.now())
            if state is None:
                return None
            self._lease = state.lease
            self._is_clear = self._is_settled(state)
            if self._is_clear:
                self._next(producer)
        return state

    def _is_settled(self, state: ShardState) -> bool:
        """Say whether messages can be claimed without asking Kafka first.

        A shard that this process never had, or whose numbers went backwards, is looked
        at even when it is clean: the database may have been restored.
        """
        if not self._tools.transactional:
            return state.is_clean
        seen = self._tools.verified.get(self._shard)
        return state.is_clean and seen is not None and state.next_seq >= seen

    def _clear_up(self, state: ShardState) -> None:
        tools = self._tools
        if tools.own.is_holder(state.holder) and not state.is_clean:
            # Its id is about to be fenced, by ourselves.
            tools.own.discard()
        progress = None
        # A shard that was last published without transactions has nothing to ask for.
        if state.is_clean or state.holder:
            with self._gate.call():
                progress = reconcile.ask(
                    state=state, cluster=tools.cluster, deadline=_soon()
                )
        reconcile.apply(
            state=state,
            progress=progress,
            database_id=tools.database_id,
            now=tools.now(),
        )
        tools.verified[self._shard] = state.next_seq

    def _next(self, producer: RecordProducer) -> None:
        """Claim the next batch or give the shard back; the lease has been proven.

        Whether messages wait is decided in the transaction that gives the lease back,
        so whoever appends later finds it free.
        """
        lease, now = self._held(), self._tools.now()
        # Where all that waited had room, the next turn finds more than we would now,
        # and a turn costs the same for one message as for hundreds.
        had_all = self._claim is not None and not self._claim.leaves_more
        self._claim = None
        goes_on = not had_all and self._go_on()
        if goes_on:
            self._claim = claims.claim(
                lease=lease,
                holder=producer.transactional_id,
                limits=self._tools.limits,
                now=now,
            )
        if self._claim is None:
            self._more_due = not goes_on and claims.has_pending(self._shard)
            # Whoever came for it meanwhile found the shard taken, and has left.
            self._is_urgent = self._more_due and claims.has_urgent(self._shard)
            leases.release(lease=lease, now=now, is_clean=True)
        else:
            self._tools.verified[self._shard] = self._claim.seq + 1

    def _publish(self, producer: RecordProducer, claim: Claim) -> None:
        tools = self._tools
        records = dispatch.records_of(claim=claim, now=tools.now())
        refusals = dispatch.refusals(
            claim=claim, records=records, producer=producer, topics=tools.topics
        )
        if refusals:
            self._put_aside(producer, claim, refusals)
            return
        deadline, since = _soon(), tracing.clock()
        with metrics.PUBLISH_SECONDS.time():
            with self._gate.call():
                receipts = producer.stage(
                    records=records, progress=self._progress(claim), deadline=deadline
                )
                producer.commit(deadline=deadline)
            self._mark(producer, claim, receipts)
        self._published += len(records)
        dispatch.count(claim=claim)
        dispatch.trace(claim=claim, receipts=receipts, since=since)

    def _progress(self, claim: Claim) -> Progress | None:
        if not self._tools.transactional:
            return None
        return Progress(
            shard=self._shard,
            seq=claim.seq,
            database_id=str(self._tools.database_id),
        )

    def _mark(
        self, producer: RecordProducer, claim: Claim, receipts: Sequence[Receipt]
    ) -> None:
        now = self._tools.now()
        with leases.transact():
            if self._tools.transactional:
                leases.hold(
                    lease=self._held(),
                    now=now,
                    published_seq=claim.seq,
                    progress_at=now,
                )
            else:
                leases.hold(lease=self._held(), now=now)
            claims.mark_published(claim=claim, receipts=receipts, now=now)
            self._next(producer)

    def _put_aside(
        self, producer: RecordProducer, claim: Claim, refusals: Sequence[Refusal]
    ) -> None:
        """Park the persons of messages that can never be sent; nothing was sent."""
        now = self._tools.now()
        with leases.transact():
            # Persons before the lease, as whoever appends holds them first.
            for subject in sorted({refusal.subject for refusal in refusals}):
                outbox.lock_person(subject=subject)
            leases.hold(lease=self._held(), now=now)
            claims.void(batch_id=claim.batch_id, is_refused=False, now=now)
            for refusal in refusals:
                parking.park(refusal=refusal, now=now)
            # The others of this batch wait again, and were already begun with.
            self._claim = None
            self._next(producer)

    def _given_up(self, error: Exception) -> Outcome:
        if not isinstance(error, CircuitBreakerOpen):
            self._tools.own.discard()
        claim = self._claim
        result = giving_up.give_up(
            error=error,
            shard=self._shard,
            lease=self._lease,
            claim=claim,
            now=self._tools.now(),
        )
        # Of a refused batch, too: only what is poison must wait for what comes next.
        is_urgent = result.at_once and claims.has_urgent(
            self._shard, batch_id=None if claim is None else claim.batch_id
        )
        return Outcome(
            state=result.state,
            published=self._published,
            more_due=result.at_once,
            is_urgent=is_urgent,
            retry_after=result.retry_after,
        )

    def _held(self) -> Lease:
        assert self._lease is not None
        return self._lease


def _soon() -> float:
    return time.monotonic() + BATCH_SECONDS

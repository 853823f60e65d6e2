"""Group commit: many waiting requests, one transaction, one answer to each."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from biometrics import bearings, metrics
from biometrics.bearings import Bearings
from biometrics.errors import StoreUnavailableError
from biometrics.intake.large import LARGE_BODY
from biometrics.intake.rows import (
    DeliveryRow,
    IntakeStore,
    RejectedCounts,
    RowRefusedError,
)
from resilience import CircuitBreakerOpen, get_breaker

T = TypeVar("T")

logger = logging.getLogger(__name__)

_MAX_ROWS = 500
_MAX_BYTES = 8 * 1024 * 1024
# Counts of refused requests wait for the next batch; without one they go alone.
_IDLE_COUNT_DELAY_S = 2.0


@dataclass(slots=True)
class _Waiting:
    row: DeliveryRow
    answer: asyncio.Future[bool]
    bearings: Bearings | None


class GroupCommitWriter:
    """Takes rows from many requests of one event loop and commits them together.

    While one batch is on its way to the disk the next one gathers, so the batch size
    follows the load without a timer. Nothing is acknowledged before its commit.
    """

    def __init__(
        self,
        *,
        store: IntakeStore,
        commit_timeout_s: float,
        on_stored: Callable[[set[int]], None],
    ) -> None:
        self._store = store
        self._timeout = commit_timeout_s
        self._on_stored = on_stored
        self._waiting: deque[_Waiting] = deque()
        self._rejected: RejectedCounts = Counter()
        self._wake = asyncio.Event()
        self._closing = False
        self._breaker = get_breaker("database")
        self._loop = asyncio.get_running_loop()
        # Without the bearings of the request that happens to be the first.
        self._task = self._loop.create_task(
            self._run(), name="intake-writer", context=Context()
        )

    async def write(self, row: DeliveryRow) -> bool:
        """Return, once the row is on disk, whether it was new.

        Raises StoreUnavailableError when that cannot be promised.
        """
        if self._closing:
            raise StoreUnavailableError("This process is shutting down.")
        if len(row.body) > LARGE_BODY:
            return await self._write_large(row)
        waiting = _Waiting(row, self._loop.create_future(), bearings.current())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.answer

    def count_rejected(self, *, vendor: str, received_at: datetime) -> None:
        """Count a request that is not stored; written with the next batch."""
        minute = received_at.replace(second=0, microsecond=0)
        self._rejected[(vendor, minute)] += 1
        self._loop.call_later(_IDLE_COUNT_DELAY_S, self._wake.set)

    async def account_of_token(self, sha256: str) -> str | None:
        """Return the account of a personal token; raises StoreUnavailableError."""
        return await self._guarded(partial(self._store.account_of_token, sha256))

    async def close(self) -> None:
        """Commit what waits, then give up the store."""
        self._closing = True
        self._wake.set()
        await self._task
        await self._store.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting or self._rejected:
                await self._commit(self._next_batch())
            if self._closing:
                return

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _MAX_ROWS:
            size += len(self._waiting[0].row.body)
            if batch and size > _MAX_BYTES:
                break
            batch.append(self._waiting.popleft())
        # Two processes with overlapping keys lock rows in one order: no deadlock.
        batch.sort(key=lambda waiting: (waiting.row.vendor, waiting.row.dedupe_key))
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        rejected, self._rejected = self._rejected, Counter()
        rows = [waiting.row for waiting in batch]
        try:
            fresh = await self._guarded(
                partial(self._store.insert, rows, rejected=rejected)
            )
        except RowRefusedError:
            self._rejected.update(rejected)
            await self._commit_one_by_one(batch)
            return
        except StoreUnavailableError as error:
            self._rejected.update(rejected)
            self._refuse(batch, error)
            # Without a pause the counts alone would keep asking a database that is away.
            if not batch:
                await asyncio.sleep(_IDLE_COUNT_DELAY_S)
            return
        metrics.INTAKE_BATCH_ROWS.observe(len(rows))
        self._answer(batch, fresh)

    async def _commit_one_by_one(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            call = partial(self._store.insert, [waiting.row], rejected=Counter())
            try:
                fresh = await self._guarded(call)
            except (RowRefusedError, StoreUnavailableError) as error:
                with bearings.following(waiting.bearings):
                    logger.exception(
                        "intake.row_refused",
                        extra={"delivery": str(waiting.row.public_id)},
                    )
                self._refuse([waiting], error)
            else:
                self._answer([waiting], fresh)

    def _answer(self, batch: list[_Waiting], fresh: list[bool]) -> None:
        for waiting, is_new in zip(batch, fresh, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(is_new)
        self._nudge(batch, fresh)

    def _nudge(self, batch: list[_Waiting], fresh: list[bool]) -> None:
        shards = {
            waiting.row.shard
            for waiting, is_new in zip(batch, fresh, strict=True)
            if is_new and waiting.row.status == "pending"
        }
        if shards:
            self._on_stored(shards)

    def _refuse(self, batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    async def _write_large(self, row: DeliveryRow) -> bool:
        is_new = await self._guarded(partial(self._store.insert_large, row))
        if is_new and row.status == "pending":
            self._on_stored({row.shard})
        return is_new

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run one database call under the breaker and the commit's time limit."""
        try:
            async with self._breaker:
                return await asyncio.wait_for(call(), self._timeout)
        except CircuitBreakerOpen as error:
            raise StoreUnavailableError("The database is away.") from error
        except TimeoutError as error:
            raise StoreUnavailableError("The database is too slow.") from error

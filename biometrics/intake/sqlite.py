"""SQLite as the intake's store: a thread with its own connection, same promises."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import orjson

from biometrics.errors import StoreUnavailableError
from biometrics.intake.rows import DeliveryRow, RejectedCounts, RowRefusedError

_INSERT = """
INSERT INTO biometrics_webhookdelivery
  (public_id, vendor, account_id, reference, event_type, dedupe_key, shard, origin,
   body, headers, traceparent, trace, secret_slot, received_at, status, attempts,
   error_code, error)
VALUES (?, ?, ?, ?, ?, ?, ?, 'webhook', ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
ON CONFLICT DO NOTHING
"""
_COUNT = """
INSERT INTO biometrics_intakecount (process, period, vendor, outcome, count)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (process, period, vendor, outcome)
DO UPDATE SET count = count + excluded.count
"""
_ACCOUNT = """
SELECT account_id FROM biometrics_vendorconnection
WHERE personal_token_sha256 = :sha256 AND status <> 'revoked'
UNION ALL
SELECT c.account_id FROM biometrics_phonesession s
JOIN biometrics_vendorconnection c ON c.id = s.connection_id
WHERE s.access_sha256 = :sha256 AND c.status <> 'revoked'
  AND julianday(s.access_until) > julianday('now')
"""


class SqliteIntakeStore:
    """Stores deliveries in a WAL database with synchronous=FULL."""

    def __init__(self, *, path: str, process: str, timeout_s: float) -> None:
        self._path = path
        self._process = process
        self._timeout = timeout_s
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="intake-sqlite")

    async def insert(
        self, rows: Sequence[DeliveryRow], *, rejected: RejectedCounts
    ) -> list[bool]:
        """See IntakeStore."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._insert, rows, rejected)

    async def insert_large(self, row: DeliveryRow) -> bool:
        """See IntakeStore; the one thread serves big and small alike."""
        return (await self.insert([row], rejected=Counter()))[0]

    async def account_of_token(self, sha256: str) -> str | None:
        """See IntakeStore."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._account, sha256)

    async def close(self) -> None:
        """See IntakeStore."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA journal_mode=WAL")
            # WAL alone may lose the last commits with the power; a 2xx must not.
            connection.execute("PRAGMA synchronous=FULL")
            self._connection = connection
        return self._connection

    def _insert(
        self, rows: Sequence[DeliveryRow], rejected: RejectedCounts
    ) -> list[bool]:
        counts: Counter[tuple[str, str, str]] = Counter()
        for (vendor, minute), n in rejected.items():
            counts[(_text(minute), vendor, "rejected")] += n
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                fresh = [self._insert_row(connection, row, counts) for row in rows]
                connection.executemany(
                    _COUNT, [(self._process, *key, n) for key, n in counts.items()]
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except (sqlite3.IntegrityError, sqlite3.DataError, UnicodeError) as error:
            raise RowRefusedError("The database refuses a row.") from error
        except sqlite3.Error as error:
            self._connection = None
            raise StoreUnavailableError("The database is away.") from error
        return fresh

    def _insert_row(
        self,
        connection: sqlite3.Connection,
        row: DeliveryRow,
        counts: Counter[tuple[str, str, str]],
    ) -> bool:
        cursor = connection.execute(
            _INSERT,
            (
                row.public_id.hex,
                row.vendor,
                row.account_id,
                row.reference,
                row.event_type,
                row.dedupe_key,
                row.shard,
                row.body,
                orjson.dumps(dict(row.headers)).decode(),
                row.traceparent,
                row.trace,
                row.secret_slot,
                _text(row.received_at),
                row.status,
                row.error_code,
                row.error,
            ),
        )
        is_new = cursor.rowcount == 1
        minute = row.received_at.replace(second=0, microsecond=0)
        outcome = "stored" if is_new else "duplicate"
        counts[(_text(minute), row.vendor, outcome)] += 1
        return is_new

    def _account(self, sha256: str) -> str | None:
        try:
            found = self._connected().execute(_ACCOUNT, {"sha256": sha256}).fetchone()
        except sqlite3.Error as error:
            raise StoreUnavailableError("The database is away.") from error
        return str(found[0]) if found else None


def _text(moment: datetime) -> str:
    """Return a time as Django keeps it in SQLite: naive UTC text."""
    return str(moment.astimezone(UTC).replace(tzinfo=None))

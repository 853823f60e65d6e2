"""PostgreSQL as the intake's store: one statement a batch, on the event loop.

psycopg2's asynchronous mode needs no thread: measured against a writer thread it took a
quarter more requests a second. Bodies above the large limit go through a second
connection in a thread, so that the loop never escapes megabytes, and are copied in
pieces.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import psycopg2
from psycopg2 import errors, extensions

from biometrics import array_literals
from biometrics.errors import StoreUnavailableError
from biometrics.intake import large
from biometrics.intake.rows import DeliveryRow, RejectedCounts, RowRefusedError

_INSERT = """
WITH input AS (
  SELECT * FROM unnest(
    %(public_id)s::uuid[], %(vendor)s::text[], %(account_id)s::text[],
    %(reference)s::text[], %(event_type)s::text[], %(dedupe_key)s::text[],
    %(shard)s::int[], %(body)s::bytea[], %(headers)s::text[],
    %(traceparent)s::text[], %(trace)s::text[], %(secret_slot)s::int[], %(received_at)s::timestamptz[],
    %(status)s::text[], %(error_code)s::text[], %(error)s::text[]
  ) AS t(public_id, vendor, account_id, reference, event_type, dedupe_key, shard, body,
         headers, traceparent, trace, secret_slot, received_at, status, error_code, error)
), fresh AS (
  INSERT INTO biometrics_webhookdelivery
    (public_id, vendor, account_id, reference, event_type, dedupe_key, shard, origin,
     body, headers, traceparent, trace, secret_slot, received_at, status, attempts,
     error_code, error)
  SELECT public_id, vendor, account_id, reference, event_type, dedupe_key, shard,
         'webhook', body, headers::jsonb, traceparent, trace, secret_slot, received_at,
         status, 0, error_code, error
  FROM input
  ON CONFLICT DO NOTHING
  RETURNING public_id, vendor, date_trunc('minute', received_at) AS period
), stored AS (
  SELECT vendor, period, count(*) AS n FROM fresh GROUP BY vendor, period
), arrived AS (
  SELECT vendor, date_trunc('minute', received_at) AS period, count(*) AS n
  FROM input GROUP BY 1, 2
), counted AS (
  INSERT INTO biometrics_intakecount (process, period, vendor, outcome, count)
  SELECT %(process)s, period, vendor, outcome, n FROM (
    SELECT vendor, period, 'stored' AS outcome, n FROM stored
    UNION ALL
    SELECT vendor, period, 'duplicate', arrived.n - coalesce(stored.n, 0)
    FROM arrived LEFT JOIN stored USING (vendor, period)
    WHERE arrived.n > coalesce(stored.n, 0)
    UNION ALL
    SELECT * FROM unnest(
      %(rejected_vendor)s::text[], %(rejected_period)s::timestamptz[],
      array_fill('rejected'::text, ARRAY[%(rejected_rows)s]),
      %(rejected_n)s::bigint[])
  ) AS c(vendor, period, outcome, n)
  ON CONFLICT (process, period, vendor, outcome)
  DO UPDATE SET count = biometrics_intakecount.count + EXCLUDED.count
)
SELECT public_id::text FROM fresh
"""
_INSERT_LARGE = _INSERT.replace("%(body)s::bytea[]", f"ARRAY[{large.BODY}]")
_ACCOUNT = """
SELECT account_id FROM biometrics_vendorconnection
WHERE personal_token_sha256 = %(sha256)s AND status <> 'revoked'
UNION ALL
SELECT c.account_id FROM biometrics_phonesession s
JOIN biometrics_vendorconnection c ON c.id = s.connection_id
WHERE s.access_sha256 = %(sha256)s AND s.access_until > now() AND c.status <> 'revoked'
"""
_TEXTS = (
    "vendor",
    "account_id",
    "reference",
    "event_type",
    "dedupe_key",
    "traceparent",
    "trace",
    "status",
    "error_code",
    "error",
)


class PostgresIntakeStore:
    """Stores deliveries with psycopg2 in asynchronous mode on the running loop.

    `parameters` are psycopg2's connection arguments; `process` keys the counters.
    """

    def __init__(
        self, *, parameters: Mapping[str, Any], process: str, timeout_s: float
    ) -> None:
        milliseconds = int(timeout_s * 1000)
        self._parameters = {
            **parameters,
            "connect_timeout": max(2, int(timeout_s)),
            "application_name": "auren-intake",
            # The server gives up before we do, so a late commit is not a surprise.
            "options": f"-c statement_timeout={milliseconds} -c timezone=UTC",
        }
        self._process = process
        self._connection: extensions.connection | None = None
        self._turn = asyncio.Lock()
        self._large_turn = asyncio.Lock()
        self._large: extensions.connection | None = None

    async def insert(
        self, rows: Sequence[DeliveryRow], *, rejected: RejectedCounts
    ) -> list[bool]:
        """See IntakeStore."""
        values = _values(rows, rejected=rejected, process=self._process)
        found = await self._run(_INSERT, values)
        return _fresh(rows, {record[0] for record in found})

    async def insert_large(self, row: DeliveryRow) -> bool:
        """See IntakeStore; runs in a thread on a connection of its own."""
        async with self._large_turn:
            return await asyncio.to_thread(self._insert_large, row)

    async def account_of_token(self, sha256: str) -> str | None:
        """See IntakeStore."""
        found = await self._run(_ACCOUNT, {"sha256": sha256})
        return str(found[0][0]) if found else None

    async def close(self) -> None:
        """See IntakeStore."""
        self._drop()
        if self._large is not None:
            self._large.close()
            self._large = None

    async def _run(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async with self._turn:
            try:
                connection = await self._connected()
                cursor = connection.cursor()
                cursor.execute(sql, values)
                await _finish(connection)
                return cursor.fetchall()
            except (errors.DataError, errors.IntegrityError, ValueError) as error:
                message = f"The database refuses a row: {type(error).__name__}."
                raise RowRefusedError(message) from error
            except psycopg2.Error as error:
                self._drop()
                raise StoreUnavailableError("The database is away.") from error
            except BaseException:
                # Cancelled in mid-statement: the connection is in an unknown state.
                self._drop()
                raise

    async def _connected(self) -> extensions.connection:
        if self._connection is None or self._connection.closed:
            connection = psycopg2.connect(**self._parameters, async_=1)
            self._connection = connection
            await _finish(connection)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert_large(self, row: DeliveryRow) -> bool:
        # The body goes by itself.
        small = replace(row, body=b"")
        values = _values([small], rejected=Counter(), process=self._process)
        try:
            if self._large is None or self._large.closed:
                self._large = psycopg2.connect(**self._parameters)
            # One transaction: committed at its end, before anybody is answered.
            with self._large, self._large.cursor() as cursor:
                large.copy(cursor, row.body)
                cursor.execute(_INSERT_LARGE, values)
                return bool(cursor.fetchall())
        except (errors.DataError, errors.IntegrityError, ValueError) as error:
            raise RowRefusedError("The database refuses a row.") from error
        except psycopg2.Error as error:
            if self._large is not None:
                self._large.close()
            raise StoreUnavailableError("The database is away.") from error


def _values(
    rows: Sequence[DeliveryRow], *, rejected: RejectedCounts, process: str
) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: array_literals.of_text([getattr(row, name) for row in rows])
        for name in _TEXTS
    }
    values["public_id"] = array_literals.of_text([str(row.public_id) for row in rows])
    values["shard"] = array_literals.of_plain([row.shard for row in rows])
    values["body"] = array_literals.of_bytes([row.body for row in rows])
    values["headers"] = array_literals.of_text(
        [orjson.dumps(dict(row.headers)).decode() for row in rows]
    )
    values["secret_slot"] = array_literals.of_plain([row.secret_slot for row in rows])
    values["received_at"] = array_literals.of_text(
        [row.received_at.isoformat() for row in rows]
    )
    values["process"] = process
    values["rejected_vendor"] = [vendor for vendor, _ in rejected]
    values["rejected_period"] = [period for _, period in rejected]
    values["rejected_n"] = list(rejected.values())
    values["rejected_rows"] = len(rejected)
    return values


def _fresh(rows: Sequence[DeliveryRow], stored: set[str]) -> list[bool]:
    """Say row by row whether it was new; a second copy in the batch was not."""
    answers = []
    for row in rows:
        public_id = str(row.public_id)
        answers.append(public_id in stored)
        stored.discard(public_id)
    return answers


async def _finish(connection: extensions.connection) -> None:
    """Wait on the loop until the connection's current operation is done."""
    loop = asyncio.get_running_loop()
    while (state := connection.poll()) != extensions.POLL_OK:
        ready: asyncio.Future[None] = loop.create_future()
        descriptor = connection.fileno()
        if state == extensions.POLL_READ:
            loop.add_reader(descriptor, _set, ready)
        else:
            loop.add_writer(descriptor, _set, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

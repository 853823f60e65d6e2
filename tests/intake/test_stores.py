"""Both intake stores keep the same promises."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from auren.devstack.postgres import TemporaryPostgres
from biometrics.errors import StoreUnavailableError
from biometrics.intake.postgres import PostgresIntakeStore
from biometrics.intake.rows import DeliveryRow, IntakeStore, RowRefusedError
from biometrics.intake.sqlite import SqliteIntakeStore
from tests.databases import migrate, parameters_of
from tests.odd_texts import ODD_TEXTS

T = TypeVar("T")
Use = Callable[[IntakeStore], Awaitable[T]]
MINUTE = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
AT = MINUTE.replace(second=30, microsecond=250)


def row(key: str, **changes: Any) -> DeliveryRow:
    plain = DeliveryRow(
        vendor="terra",
        account_id="account-1",
        reference="",
        event_type="sleep",
        dedupe_key=key,
        shard=3,
        body=b'{"type":"sleep"}',
        headers={"content-type": "application/json"},
        traceparent="",
        secret_slot=0,
        received_at=AT,
        status="pending",
    )
    return replace(plain, **changes)


class StoreContract:
    """What a caller of IntakeStore may rely on."""

    def store(self) -> IntakeStore:
        raise NotImplementedError

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def use(self, job: Use[T]) -> T:
        async def run() -> T:
            store = self.store()
            try:
                return await job(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def insert(self, *rows: DeliveryRow) -> list[bool]:
        return self.use(lambda store: store.insert(rows, rejected=Counter()))

    def counts(self) -> dict[str, int]:
        found = self.query(
            "SELECT outcome, sum(count) FROM biometrics_intakecount GROUP BY outcome"
        )
        return {outcome: int(n) for outcome, n in found}

    def test_new_rows_are_new_and_their_copies_are_not(self) -> None:
        assert self.insert(row("a"), row("b")) == [True, True]
        assert self.insert(row("b"), row("c")) == [False, True]
        stored = self.query("SELECT dedupe_key FROM biometrics_webhookdelivery")
        assert sorted(stored) == [("a",), ("b",), ("c",)]

    def test_what_staff_find_it_by_is_kept(self) -> None:
        self.insert(row("a", trace="T-1", traceparent="00-ab-cd-01"), row("b"))
        kept = self.query("SELECT trace, traceparent FROM biometrics_webhookdelivery")
        assert sorted(kept) == [("", ""), ("T-1", "00-ab-cd-01")]

    def test_second_copy_in_one_batch_is_a_duplicate(self) -> None:
        assert self.insert(row("a"), row("a"), row("b")) == [True, False, True]

    def test_equal_keys_of_two_vendors_are_two_deliveries(self) -> None:
        assert self.insert(row("a"), row("a", vendor="oura")) == [True, True]

    def test_every_row_is_counted_once_as_what_it_was(self) -> None:
        self.insert(row("a"), row("a"), row("b"))
        self.insert(row("b"))
        assert self.counts() == {"stored": 2, "duplicate": 2}

    def test_rejected_requests_are_counted_without_rows(self) -> None:
        rejected = Counter({("terra", MINUTE): 3, ("oura", MINUTE): 1})
        assert self.use(lambda store: store.insert([], rejected=rejected)) == []
        assert self.counts() == {"rejected": 4}
        assert self.query("SELECT count(*) FROM biometrics_webhookdelivery") == [(0,)]

    def test_bytes_come_back_as_they_went_in(self) -> None:
        body = bytes(range(256)) * 40
        self.insert(row("a", body=body))
        ((stored,),) = self.query("SELECT body FROM biometrics_webhookdelivery")
        assert bytes(stored) == body

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_texts_come_back_as_they_went_in(self, text: str) -> None:
        headers = {"user-agent": text}
        kept = row(
            "a",
            account_id=text,
            trace=text,
            error=text,
            headers=headers,
            status="parked",
        )
        # Between others, so that none can swallow its neighbour.
        assert self.insert(row("0"), kept, row("b")) == [True] * 3
        ((account, trace, error, stored),) = self.query(
            "SELECT account_id, trace, error, headers FROM biometrics_webhookdelivery"
            " WHERE dedupe_key = 'a'"
        )
        assert (account, trace, error) == (text, text, text)
        found = orjson.loads(stored) if isinstance(stored, str) else stored
        assert found == headers

    def test_a_large_row_is_stored_and_counted_like_a_small_one(self) -> None:
        body = b"x" * (2 * 1024 * 1024)
        assert self.use(lambda store: store.insert_large(row("a", body=body)))
        assert not self.use(lambda store: store.insert_large(row("a", body=body)))
        assert self.counts() == {"stored": 1, "duplicate": 1}

    def test_a_large_body_is_stored_byte_by_byte(self) -> None:
        body = bytes(range(256)) * 8192 + b"\\x00\n\\.\n'"
        parts = {"a": body, "b": body[:-1], "c": b""}

        async def job(store: IntakeStore) -> list[bool]:
            return [
                await store.insert_large(row(key, body=part))
                for key, part in parts.items()
            ]

        assert self.use(job) == [True] * 3
        rows = self.query(
            "SELECT body FROM biometrics_webhookdelivery ORDER BY dedupe_key"
        )
        assert [bytes(stored) for (stored,) in rows] == [body, body[:-1], b""]

    def test_a_refused_large_row_leaves_nothing_and_the_next_is_stored(self) -> None:
        async def job(store: IntakeStore) -> bool:
            with pytest.raises(RowRefusedError):
                await store.insert_large(row("a", body=b"x" * 99, status="nonsense"))
            return await store.insert_large(row("b", body=b"y" * 99))

        assert self.use(job)
        rows = self.query("SELECT dedupe_key, body FROM biometrics_webhookdelivery")
        assert [(key, bytes(stored)) for key, stored in rows] == [("b", b"y" * 99)]
        assert self.counts() == {"stored": 1}

    def test_a_refused_row_leaves_nothing_of_its_batch(self) -> None:
        with pytest.raises(RowRefusedError):
            self.insert(row("a"), row("b", status="nonsense"))
        assert self.query("SELECT count(*) FROM biometrics_webhookdelivery") == [(0,)]
        assert self.counts() == {}

    def test_a_store_works_on_after_a_refused_row(self) -> None:
        async def job(store: IntakeStore) -> list[bool]:
            with pytest.raises(RowRefusedError):
                await store.insert([row("a", status="nonsense")], rejected=Counter())
            return await store.insert([row("a")], rejected=Counter())

        assert self.use(job) == [True]

    def test_an_unknown_token_has_no_account(self) -> None:
        assert self.use(lambda store: store.account_of_token("0" * 64)) is None


@pytest.mark.django_db(transaction=True)
class TestSqliteStore(StoreContract):
    sqlite_only = True

    def store(self) -> IntakeStore:
        name = settings.DATABASES["default"]["NAME"]
        return SqliteIntakeStore(path=str(name), process="test", timeout_s=5)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def test_a_database_that_cannot_be_opened_is_unavailable(self) -> None:
        store = SqliteIntakeStore(
            path="/nonexistent/bridge.sqlite3", process="test", timeout_s=1
        )

        async def job() -> None:
            with pytest.raises(StoreUnavailableError):
                await store.insert([row("a")], rejected=Counter())
            await store.close()

        asyncio.run(job())


@pytest.mark.postgres
class TestPostgresStore(StoreContract):
    url: str

    @pytest.fixture(autouse=True)
    def _database(self, migrated_postgres: str) -> None:
        type(self).url = migrated_postgres

    def store(self) -> IntakeStore:
        return PostgresIntakeStore(
            parameters=parameters_of(self.url), process="test", timeout_s=5
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        session = psycopg2.connect(**parameters_of(self.url))
        try:
            with session, session.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            session.close()

    def test_two_processes_with_overlapping_keys_do_not_deadlock(self) -> None:
        keys = [f"key-{n:03}" for n in range(200)]

        async def job() -> list[list[bool]]:
            stores = [self.store() for _ in range(4)]
            rows = [row(key) for key in keys]
            answers = await asyncio.gather(
                *(store.insert(rows, rejected=Counter()) for store in stores)
            )
            for store in stores:
                await store.close()
            return answers

        answers = asyncio.run(job())
        assert sum(answer.count(True) for answer in answers) == len(keys)

    def test_a_connection_that_dies_is_replaced(self) -> None:
        async def job(store: IntakeStore) -> list[bool]:
            await store.insert([row("a")], rejected=Counter())
            self.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'auren-intake'"
            )
            with pytest.raises(StoreUnavailableError):
                await store.insert([row("b")], rejected=Counter())
            return await store.insert([row("b")], rejected=Counter())

        assert self.use(job) == [True]


@pytest.mark.postgres
def test_what_was_answered_survives_the_kill_of_the_database(
    own_postgres: TemporaryPostgres,
) -> None:
    """Every row whose insert returned is there after a kill -9 of PostgreSQL."""
    url = own_postgres.url
    migrate(url)
    acknowledged: list[str] = []

    async def job() -> None:
        store = PostgresIntakeStore(
            parameters=parameters_of(url), process="test", timeout_s=5
        )
        for n in range(10_000):
            key = f"key-{n}"
            if n == 300:
                own_postgres.kill9()
            try:
                await store.insert([row(key)], rejected=Counter())
            except StoreUnavailableError:
                break
            acknowledged.append(key)
        await store.close()

    asyncio.run(job())
    assert len(acknowledged) >= 300
    own_postgres.start()
    session = psycopg2.connect(**parameters_of(url))
    with session, session.cursor() as cursor:
        cursor.execute("SELECT dedupe_key FROM biometrics_webhookdelivery")
        stored = {key for (key,) in cursor.fetchall()}
    session.close()
    assert set(acknowledged) <= stored

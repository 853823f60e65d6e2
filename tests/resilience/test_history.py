"""Exactly one row for each transition, whatever happens to callers and processes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from resilience import backfill_transitions, get_breaker, registry
from resilience.errors import StoreUnavailableError
from resilience.history import record_transition
from resilience.models import BreakerCursor, BreakerTransition
from resilience.states import Action
from resilience.storage.redis import RedisStore
from tests.resilience.clockwork import BoomError, fail
from tests.resilience.fleet import METHODS, running

pytestmark = pytest.mark.redis


def rows(name: str = "kafka") -> list[tuple[str, str, str]]:
    found = BreakerTransition.objects.filter(breaker=name).order_by("epoch")
    return list(found.values_list("old_state", "new_state", "cause"))


OPENED = ("closed", "open", "failures")


def trip(name: str = "kafka") -> None:
    for _ in range(2):
        assert isinstance(fail(get_breaker(name)), BoomError)


@pytest.mark.usefixtures("circuits")
@pytest.mark.django_db(transaction=True)
class TestWithoutTransaction:
    def test_the_row_is_there_at_once(self) -> None:
        trip()

        assert rows() == [OPENED]
        row = BreakerTransition.objects.get()
        assert (row.failures, row.error, row.actor) == (2, "BoomError", "")
        assert 9000 <= row.wait_ms <= 10_000
        assert abs(row.at.timestamp() - time.time()) < 60
        assert backfill_transitions() == 0

    def test_it_survives_the_callers_rollback(self) -> None:
        with transaction.atomic():
            trip()
            assert rows() == []
            transaction.set_rollback(True)

        assert backfill_transitions() == 1
        assert rows() == [OPENED]

    def test_the_callers_transaction_is_left_usable(self) -> None:
        with transaction.atomic():
            trip()
            BreakerCursor.objects.create(breaker="other", entry_id="1-1")

        assert BreakerCursor.objects.filter(breaker="other").exists()

    def test_the_circuit_of_the_database_leaves_its_rows_to_the_sweep(self) -> None:
        trip("database")

        assert rows("database") == []
        assert backfill_transitions() == 1
        assert rows("database") == [OPENED]

    def test_on_an_event_loop_nothing_blocks_on_the_database(self) -> None:
        async def use() -> None:
            # The plain form, used on the loop by mistake or for its speed.
            trip()

        asyncio.run(use())

        assert rows() == []
        assert backfill_transitions() == 1

    def test_async_use_writes_at_once_and_leaves_no_connection_open(self) -> None:
        async def use() -> None:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
            for _ in range(2):
                with pytest.raises(BoomError):
                    async with get_breaker("kafka"):
                        raise BoomError

            # The very thread that wrote.
            left = await loop.run_in_executor(None, lambda: connection.connection)
            assert left is None

        asyncio.run(use())

        assert rows() == [OPENED]

    def test_a_database_that_refuses_does_not_reach_the_caller(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(*_arguments: object) -> None:
            raise RuntimeError

        with connection.execute_wrapper(refuse):
            trip()

        assert "breaker.record_deferred" in caplog.text
        assert backfill_transitions() == 1
        assert rows() == [OPENED]

    @pytest.mark.parametrize("method", METHODS)
    def test_a_process_killed_before_it_wrote_loses_nothing(
        self, circuits: str, method: str
    ) -> None:
        with running(circuits, method) as fleet:
            member = fleet.start(1, name="kafka", failure_threshold=1)[0]
            member.begin("die_of_the_next_transition")
            member.join()

        assert rows() == []
        assert backfill_transitions() == 1
        assert backfill_transitions() == 0
        assert rows() == [OPENED]


@pytest.mark.usefixtures("circuits")
@pytest.mark.django_db
class TestBackfill:
    def test_a_gap_before_a_row_written_at_once_is_filled(self) -> None:
        trip()
        get_breaker("kafka").operate(action=Action.RESET, actor="ann", reason="x")
        entries = registry.current().store.log(name="kafka", after="0-0")
        record_transition(transition=entries[1].transition)

        assert backfill_transitions() == 1
        assert rows() == [OPENED, ("open", "closed", "reset")]

    def test_a_transition_is_one_row_however_often_it_is_recorded(self) -> None:
        trip()
        entry = registry.current().store.log(name="kafka", after="0-0")[0]

        for _ in range(2):
            record_transition(transition=entry.transition)
        assert backfill_transitions() == 0
        assert rows() == [OPENED]

    def test_only_what_is_new_is_read(self) -> None:
        trip()
        backfill_transitions()
        get_breaker("kafka").operate(action=Action.RESET, actor="ann", reason="x")
        BreakerTransition.objects.all().delete()

        assert backfill_transitions() == 1
        assert rows() == [("open", "closed", "reset")]

    def test_numbers_are_not_used_again_after_flushall(self, circuits: str) -> None:
        trip()
        backfill_transitions()
        redis.Redis.from_url(circuits).flushdb()
        registry.clear()

        trip()

        assert backfill_transitions() == 1
        assert rows() == [OPENED, OPENED]

    def test_a_log_that_begins_anew_behind_the_cursor_is_read(self) -> None:
        BreakerCursor.objects.create(breaker="kafka", entry_id=f"{10**15}-0")
        trip()

        assert backfill_transitions() == 1
        assert rows() == [OPENED]

    def test_it_says_so_when_the_store_is_away(self, settings: Settings) -> None:
        settings.RESILIENCE_REDIS_URL = "redis://127.0.0.1:1/0"

        with pytest.raises(StoreUnavailableError, match="RESILIENCE_REDIS_URL"):
            backfill_transitions()


def test_the_log_keeps_about_a_thousand(circuits: str) -> None:
    breaker = get_breaker("kafka")
    for _ in range(1200):
        breaker.operate(action=Action.AUTO, actor="ann", reason="again")
    store = registry.current().store
    assert isinstance(store, RedisStore)

    assert 1000 <= len(store.log(name="kafka", after="0-0")) < 1200

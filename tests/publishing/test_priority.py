"""A HIGH alert is not held up by a backlog, however long: shown by structure, not by a clock.

`make bench-drain` measures it with 100,000 messages waiting and workers at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from biometrics import outbox
from biometrics.models import OutboxMessage, PublishBatch
from biometrics.publishing import claims
from tests.publishing.world import World, marked

_WAITING = 4_000
_PEOPLE = 200
_BATCH = 500


@pytest.fixture
def backlog(world: World) -> list[UUID]:
    """Let messages of many people wait in the shard, each other's between them."""
    people = [world.new_person() for _ in range(_PEOPLE)]
    messages = [
        marked(str(n), person=people[n % _PEOPLE], topic=world.topic)
        for n in range(_WAITING)
    ]
    with transaction.atomic():
        outbox.append(messages=messages, now=world.clock())
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE biometrics_outboxmessage")
    return people


def batch(seq: int) -> list[int]:
    """Return the messages that are or were in a batch, in the order of their ids."""
    rows = OutboxMessage.objects.filter(batch=PublishBatch.objects.get(seq=seq))
    return list(rows.order_by("id").values_list("id", flat=True))


def of(person: UUID) -> list[int]:
    rows = OutboxMessage.objects.filter(subject=person).order_by("id")
    return list(rows.values_list("id", flat=True))


@pytest.mark.usefixtures("backlog")
def test_it_is_in_the_first_batch_that_is_claimed_after_it(world: World) -> None:
    world.append(1, priority="HIGH")
    world.worker(batch=_BATCH).work(seconds=-1)
    assert len(batch(1)) == _BATCH
    assert batch(1)[-1] == of(world.person)[0]
    assert world.statuses() == {"published": _BATCH, "pending": _WAITING + 1 - _BATCH}


def test_it_takes_along_what_its_person_has_in_the_backlog(
    world: World, backlog: list[UUID]
) -> None:
    urgent = backlog[-1]
    world.append(1, person=urgent, priority="HIGH")
    mine = of(urgent)
    assert len(mine) == _WAITING // _PEOPLE + 1
    worker = world.worker(batch=len(mine))
    worker.work(seconds=-1)
    assert batch(1) == mine


@pytest.mark.usefixtures("backlog")
def test_while_a_turn_is_under_way_it_is_in_its_next_batch(world: World) -> None:
    def comes() -> None:
        world.append(1, priority="HIGH")

    world.worker(batch=_BATCH).at("before stage", comes).work()
    assert of(world.person)[0] in batch(2)


@pytest.mark.usefixtures("backlog")
def test_a_shard_with_it_goes_before_other_shards(world: World) -> None:
    assert claims.due_shards(now=world.clock()) == [0]
    assert claims.urgent_shards(now=world.clock()) == set()
    world.append(1, priority="HIGH")
    assert claims.urgent_shards(now=world.clock()) == {0}


@pytest.mark.postgres
class TestOnPostgres:
    """The server reads what it needs, not what waits."""

    @classmethod
    def inapplicable(cls) -> frozenset[str]:
        if connection.vendor == "postgresql":
            return frozenset()
        return frozenset(name for name in vars(cls) if name.startswith("test_"))

    @pytest.mark.usefixtures("backlog")
    def test_no_query_for_it_reads_the_backlog(self, world: World) -> None:
        world.append(1, priority="HIGH")
        worker = world.worker(batch=_BATCH)
        with explained() as plans:
            worker.work(seconds=-1)
        # Whether there is anything, what is searched, what is next, whether more waits.
        assert len(plans) >= 4
        most = [max(map(read_by, plan)) for plan in plans]
        (chosen,) = (
            plan for plan, n in zip(plans, most, strict=True) if n == _BATCH + 1
        )
        assert max(most) == _BATCH + 1
        # The server may take the first row that it meets to see that there is one.
        assert sorted(most)[-2] <= 1
        assert {node.get("Index Name") for node in chosen} >= {"message_pending"}
        assert {node["Node Type"] for node in chosen} <= {
            *("Limit", "Index Scan", "Result"),
        }

    @pytest.mark.usefixtures("backlog")
    def test_without_its_index_the_backlog_would_be_read(self, world: World) -> None:
        world.append(1, priority="HIGH")
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX message_pending")
        with explained() as plans:
            world.worker(batch=_BATCH).work(seconds=-1)
        assert max(read_by(node) for plan in plans for node in plan) > _WAITING


Node = Mapping[str, Any]


def read_by(node: Node) -> int:
    """Return how many rows a node looked at."""
    looked_at = int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0))
    return looked_at * int(node["Actual Loops"])


@contextmanager
def explained() -> Iterator[list[list[Node]]]:
    """Collect how the server answers each question about messages that no id is given for."""
    plans: list[list[Node]] = []

    def explain(
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,  # noqa: FBT001 - Django passes it so
        context: Mapping[str, Any],
    ) -> Any:
        is_question = sql.startswith("SELECT") and "biometrics_outboxmessage" in sql
        if is_question and '"id" IN' not in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                (whole,) = cursor.fetchone()[0]
            plans.append(list(_nodes(whole["Plan"])))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


def _nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)

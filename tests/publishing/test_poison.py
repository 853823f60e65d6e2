"""One record that Kafka refuses stops one person and nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

import pytest

from biometrics import outbox
from biometrics.models import OutboxMessage, ParkedQueue
from biometrics.models.outbox import MessageStatus
from biometrics.publishing.producers.memory import MemoryBroker
from tests.publishing.poison_contract import PoisonContract
from tests.publishing.world import TOPIC, Death, World, both_modes, mark_of

Visible = Callable[[], dict[UUID, list[str]]]
POISON = "poison"


@pytest.fixture
def broker() -> MemoryBroker:
    """Return a broker that refuses poison."""
    return MemoryBroker(refuses=lambda record: mark_of(record.value) == POISON)


def people(world: World, count: int, *, each: int) -> list[UUID]:
    """Let many people's messages lie between each other's."""
    found = [world.new_person() for _ in range(count)]
    for _ in range(each):
        for person in found:
            world.append(1, person=person)
    return found


@both_modes
def test_everybody_else_flows_in_order(world: World, visible: Visible) -> None:
    healthy = people(world, 20, each=3)
    world.append(2)
    world.append(1, mark=POISON)
    world.append(2)
    more = people(world, 20, each=3)

    world.work_off()

    seen = visible()
    assert all(seen[person] == world.sent[person] for person in healthy + more)
    assert seen[world.person] == world.sent[world.person][:2]
    assert world.statuses() == {"published": 122, "parked": 3}


@both_modes
def test_several_poisoned_people_are_found_one_by_one(
    world: World, visible: Visible
) -> None:
    sick = []
    for _ in range(3):
        people(world, 10, each=2)
        sick.append(world.new_person())
        world.append(1, person=sick[-1], mark=POISON)
        world.append(1, person=sick[-1])

    world.work_off()

    assert set(ParkedQueue.objects.values_list("subject", flat=True)) == set(sick)
    assert world.statuses() == {"published": 60, "parked": 6}
    assert not set(visible()) & set(sick)


@both_modes
def test_poison_alone_in_its_shard(world: World) -> None:
    world.append(1, mark=POISON)
    world.work_off()
    assert world.statuses() == {"parked": 1}
    assert "refused" in ParkedQueue.objects.get().reason


def test_the_search_survives_deaths(world: World, visible: Visible) -> None:
    healthy = people(world, 10, each=2)
    world.append(1, mark=POISON)
    for point in ("before stage", "before fence", "after read", "after commit"):
        with pytest.raises(Death):
            world.work_off(world.worker().dies_at(point))
        world.lease_runs_out()

    world.work_off()

    seen = visible()
    assert all(seen[person] == world.sent[person] for person in healthy)
    assert world.statuses() == {"published": 20, "parked": 1}


@both_modes
def test_a_person_lifted_during_the_search_keeps_their_order(
    world: World, visible: Visible
) -> None:
    people(world, 10, each=2)
    world.append(1, mark=POISON)
    late = world.new_person()
    world.append(2, person=late)
    worker = world.worker()
    worker.work()
    world.append(1, person=late, priority="HIGH")
    people(world, 2, each=1)

    world.work_off()

    assert visible()[late] == world.sent[late]
    assert world.statuses() == {"published": 25, "parked": 1}


@both_modes
def test_what_cannot_be_sent_is_known_before_anything_is(
    world: World, visible: Visible
) -> None:
    """No transaction was begun, so nobody is fenced and the shard goes on at once."""
    world.append(1)
    stray = world.new_person()
    world.append(1, person=stray, topic="not-declared")
    world.append(1, person=stray)
    worker = world.worker()

    assert worker.work().published == 1

    assert "before fence" not in worker.hooks.passed
    assert visible() == {world.person: ["0"]}
    assert world.statuses() == {"published": 1, "parked": 2}
    assert "not-declared" in ParkedQueue.objects.get().reason


@both_modes
def test_a_retry_after_the_fault_was_mended(
    world: World, visible: Visible, broker: MemoryBroker
) -> None:
    world.append(1, mark=POISON)
    world.append(1)
    world.work_off()
    broker.refuses = lambda _record: False
    outbox.retry(
        subject=world.person, actor="eva", reason="limit raised", now=world.clock()
    )
    world.work_off()
    assert visible() == world.sent


@both_modes
def test_a_retry_without_mending_parks_again(world: World) -> None:
    world.append(1, mark=POISON)
    world.work_off()
    outbox.retry(subject=world.person, actor="eva", reason="hope", now=world.clock())
    world.work_off()
    assert world.statuses() == {"parked": 1}


@both_modes
def test_skipping_lets_the_rest_flow(world: World, visible: Visible) -> None:
    world.append(1, mark=POISON)
    world.append(2)
    world.work_off()
    outbox.skip(subject=world.person, actor="eva", reason="broken", now=world.clock())
    world.work_off()
    assert visible() == {world.person: ["1", "2"]}
    assert OutboxMessage.objects.filter(status=MessageStatus.DEAD).count() == 1


@both_modes
def test_messages_that_come_later_wait_with_the_parked_ones(
    world: World, visible: Visible
) -> None:
    world.append(1, mark=POISON)
    world.work_off()
    world.append(1, priority="HIGH")
    world.worker().work()
    assert visible() == {}
    assert world.statuses() == {"parked": 2}


def test_many_at_once_are_said_to_be_something_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        world.append(1, person=world.new_person(), topic="mistyped")
    with caplog.at_level(logging.ERROR):
        world.worker().work()
    assert "publish.many_parked" in caplog.text


class TestPoisonInMemory(PoisonContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker(max_bytes=50_000)

    @pytest.fixture
    def everything(self, broker: MemoryBroker) -> Callable[[], int]:
        return lambda: len(broker.read(TOPIC, committed=False))

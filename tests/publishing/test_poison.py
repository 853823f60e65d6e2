"""One record that Kafka refuses stops one person and nobody else."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from biometrics import outbox
from biometrics.messages import Priority
from biometrics.models import OutboxMessage, ParkedQueue
from biometrics.models.outbox import MessageStatus
from biometrics.publishing.producers.memory import MemoryBroker
from tests.publishing.poison_contract import PoisonContract
from tests.publishing.world import TOPIC, Death, Worker, World, both_modes, mark_of

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


class TestUrgentDuringASearch:
    """What is urgent does not wait until the poison is found."""

    @pytest.fixture
    def search(self, world: World) -> Worker:
        """Let a search begin among 40 people, the poison the last of them."""
        people(world, 39, each=1)
        world.append(1, person=world.new_person(), mark=POISON)
        worker = world.worker()
        assert worker.work().state == "doubt"
        return worker

    @both_modes
    def test_it_is_in_the_next_batch(
        self, world: World, visible: Visible, search: Worker
    ) -> None:
        world.append(2, priority="HIGH")
        assert first_seen(search, visible) == {world.person: ["0", "1"]}
        world.work_off(search)
        assert world.statuses() == {"published": 41, "parked": 1}

    @pytest.mark.parametrize("priority", ["HIGH", "MEDIUM"])
    def test_what_was_refused_with_the_poison_is_tried_by_itself(
        self, world: World, visible: Visible, priority: Priority
    ) -> None:
        world.append(1, person=world.new_person(), mark=POISON)
        people(world, 20, each=1)
        world.append(2, priority=priority)
        worker = world.worker()
        assert worker.work().state == "doubt"
        assert first_seen(worker, visible) == {world.person: ["0", "1"]}
        world.work_off(worker)
        assert world.statuses() == {"published": 22, "parked": 1}

    def test_who_is_among_the_searched_is_lifted_with_all_that_they_have(
        self, world: World, visible: Visible, search: Worker
    ) -> None:
        row = OutboxMessage.objects.order_by("id")[20]
        world.append(1, person=row.subject, priority="HIGH")
        assert first_seen(search, visible) == {row.subject: ["0"]}
        assert visible()[row.subject] == ["0", "1"]

    def test_poison_among_the_urgent_is_searched_for_first(
        self, world: World, visible: Visible, search: Worker
    ) -> None:
        urgent = [world.new_person() for _ in range(4)]
        for number, person in enumerate(urgent):
            mark = POISON if number == 2 else None
            world.append(1, person=person, priority="HIGH", mark=mark)
        seen: set[UUID] = set()
        for _ in range(30):
            search.at("before stage", lambda: seen.update(visible()))
            search.work()
            if ParkedQueue.objects.exists():
                break
        assert ParkedQueue.objects.get().subject == urgent[2]
        assert seen <= set(urgent)
        world.work_off(search)
        assert world.statuses() == {"published": 42, "parked": 2}

    def test_a_search_among_the_urgent_lets_others_pass_once(
        self, world: World, visible: Visible
    ) -> None:
        for number in range(16):
            mark = POISON if number == 0 else None
            world.append(1, person=world.new_person(), priority="HIGH", mark=mark)
        worker = world.worker()
        assert worker.work().state == "doubt"
        world.append(1, priority="HIGH")
        assert first_seen(worker, visible) == {world.person: ["0"]}
        # Poison that wants to pass neither ends the search nor is tried again before.
        for passing in (POISON, "healthy"):
            world.append(1, person=world.new_person(), priority="HIGH", mark=passing)
        searched: list[set[int]] = []
        for _ in range(2):
            worker.at("before stage", lambda: searched.append(probed()))
            assert worker.work().state == "doubt"
        assert searched[0] == searched[1] != set()
        world.work_off(worker)
        assert world.statuses() == {"published": 17, "parked": 2}

    def test_alone_and_refused_it_is_parked_and_the_search_goes_on(
        self, world: World, search: Worker
    ) -> None:
        world.append(1, priority="HIGH", mark=POISON)
        search.work()
        # Whoever takes the shard next clears up.
        search.dies_at("before stage")
        with pytest.raises(Death):
            search.work()
        assert ParkedQueue.objects.get().subject == world.person
        assert len(probed()) == 40

    def test_the_turn_after_a_refusal_is_urgent_where_something_is(
        self, world: World, search: Worker
    ) -> None:
        assert not search.work().is_urgent
        for _ in range(2):
            world.append(1, person=world.new_person(), priority="HIGH", mark=POISON)
        outcome = search.work()
        assert (outcome.state, outcome.more_due) == ("doubt", True)
        assert outcome.is_urgent

    @pytest.mark.parametrize("seed", range(6))
    def test_whatever_comes_all_poison_is_found_and_all_else_flows(
        self, world: World, visible: Visible, seed: int
    ) -> None:
        chance = random.Random(seed)
        priorities: list[Priority] = ["NORMAL", "NORMAL", "MEDIUM", "HIGH"]
        crowd = [world.new_person() for _ in range(12)]
        sick = set(chance.sample(crowd, 3))
        worker = world.worker(batch=8)
        for _ in range(25):
            for _ in range(chance.randrange(6)):
                person = chance.choice(crowd)
                priority = chance.choice(priorities)
                is_poison = person in sick and chance.random() < 0.5
                mark = POISON if is_poison else None
                world.append(1, person=person, priority=priority, mark=mark)
            worker.work()
            world.clock.advance(timedelta(seconds=2))
        world.work_off(worker)
        seen = visible()
        for person in crowd:
            sent = world.sent[person]
            until = sent.index(POISON) if POISON in sent else len(sent)
            assert seen.get(person, []) == sent[:until]
        assert set(world.statuses()) <= {"published", "parked"}


def probed() -> set[int]:
    """Return the messages among which poison is searched for, those in hand included."""
    return set(OutboxMessage.objects.filter(probe=True).values_list("id", flat=True))


def first_seen(worker: Worker, visible: Visible) -> dict[UUID, list[str]]:
    """Work for a turn; return what is new to consumers when its first batch is there."""
    before, seen = visible(), {}
    worker.at("after commit", lambda: seen.update(visible()))
    worker.work()
    return {
        person: marks for person, marks in seen.items() if marks != before.get(person)
    }


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

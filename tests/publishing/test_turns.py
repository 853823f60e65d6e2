"""What one turn on a shard does when nothing dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from prometheus_client import generate_latest

from biometrics.errors import NothingSentError
from biometrics.models import OutboxMessage, PublishBatch, ShardLease
from biometrics.models.outbox import BatchState, LeaseStep
from biometrics.publishing.producers import MisconfiguredError, UnreachableError
from biometrics.publishing.producers.memory import MemoryBroker
from biometrics.publishing.relay import due_publish_shards, urgent_publish_shards
from resilience import CircuitBreakerOpen
from tests.publishing.world import TOPIC, World, mark_of
from tests.rules import selected

Visible = Callable[[], dict[UUID, list[str]]]
MOMENT = timedelta(seconds=2)


def test_messages_become_records_with_their_headers_and_number(
    world: World, broker: MemoryBroker
) -> None:
    world.append(1)
    world.worker().work()
    row = OutboxMessage.objects.get()
    (record,) = broker.read(TOPIC)
    assert record.key == str(world.person).encode()
    assert row.headers["ce_id"] == str(row.ce_id)
    assert dict(record.headers) == {
        **{name: text.encode() for name, text in row.headers.items()},
        "ce_sequence": b"%020d" % row.id,
    }
    assert record.timestamp_ms == int(world.clock().timestamp() * 1000)


def test_a_published_message_says_where_and_when(world: World) -> None:
    world.append(2)
    world.worker().work()
    rows = OutboxMessage.objects.order_by("id")
    assert [row.kafka_offset for row in rows] == [0, 1]
    assert {row.kafka_partition for row in rows} != {None}
    assert {row.published_at for row in rows} == {world.clock()}
    batch = PublishBatch.objects.get()
    assert (batch.state, batch.seq, batch.size) == (BatchState.PUBLISHED, 1, 2)


def test_a_batch_is_claimed_and_sent_once(world: World) -> None:
    worker = world.worker()
    for expected in (1, 2):
        world.append(1)
        worker.work()
        assert PublishBatch.objects.count() == expected
    assert worker.hooks.passed.count("before stage") == 2
    assert worker.hooks.passed.count("before read") == 1


def test_the_shard_is_given_back_clean(world: World) -> None:
    world.append(1)
    outcome = world.worker().work()
    assert (outcome.state, outcome.published, outcome.more_due) == (
        "published",
        1,
        False,
    )
    assert world.lease().is_clean
    assert world.lease().until <= world.clock()


def test_nothing_due_asks_nobody(world: World) -> None:
    worker = world.worker()
    assert worker.work().state == "idle"
    assert worker.hooks.passed == []
    assert worker.breaker.asked == 0


def test_somebody_elses_shard_is_left_alone(world: World) -> None:
    world.append(1)
    other = world.worker()
    told = []
    holder = world.worker().at("before stage", lambda: told.append(other.work().state))
    assert holder.work().published == 1
    assert told == ["busy"]


def test_batches_are_bounded_by_number(world: World) -> None:
    world.append(25)
    assert world.worker(batch=10).work().published == 25
    sizes = PublishBatch.objects.order_by("seq").values_list("size", flat=True)
    assert list(sizes) == [10, 10, 5]


def test_batches_are_bounded_by_bytes_but_hold_at_least_one(world: World) -> None:
    for size in (1_000, 1_000, 8_000, 10):
        world.append(1, mark="x" * size)
    world.worker(value_bytes=2_400).work()
    sizes = PublishBatch.objects.order_by("seq").values_list("size", flat=True)
    assert list(sizes) == [2, 1, 1]


def test_a_turn_without_time_makes_one_batch_and_says_that_more_is_due(
    world: World,
) -> None:
    world.append(3)
    outcome = world.worker(batch=1).work(seconds=-1)
    assert (outcome.published, outcome.more_due) == (1, True)
    assert world.lease().is_clean


def test_a_turn_yields_after_a_batch_when_asked_to(world: World) -> None:
    world.append(3)
    worker = world.worker(batch=1)
    outcome = worker.relay.publish(
        shard=0,
        now=world.clock,
        deadline=time.monotonic() + 60,
        should_yield=lambda: True,
    )
    assert (outcome.published, outcome.more_due) == (1, True)


def test_what_goes_first_and_came_while_the_shard_was_taken_is_not_forgotten(
    world: World,
) -> None:
    world.append(3)
    late = world.worker()
    told = []

    def comes() -> None:
        world.append(1, person=uuid4(), priority="HIGH")
        told.append(late.work().state)

    worker = world.worker(batch=1).at("before stage", comes)
    outcome = worker.work(seconds=-1)
    assert told == ["busy"]
    assert (outcome.more_due, outcome.is_urgent) == (True, True)
    assert urgent_publish_shards(now=world.clock()) == {0}
    # Its own next turn takes it first; then nothing urgent is left.
    outcome = worker.work(seconds=-1)
    assert (outcome.more_due, outcome.is_urgent) == (True, False)
    assert urgent_publish_shards(now=world.clock()) == set()


def test_messages_appended_during_a_turn_are_left_to_the_next(
    world: World, visible: Visible
) -> None:
    world.append(1)

    def append() -> None:
        world.append(1)

    worker = world.worker()
    outcome = worker.at("after commit", append).work()
    assert (outcome.published, outcome.more_due) == (1, True)
    outcome = worker.work()
    assert (outcome.published, outcome.more_due) == (1, False)
    assert visible() == world.sent


def test_a_full_batch_is_followed_by_the_rest_in_the_same_turn(world: World) -> None:
    world.append(5)
    outcome = world.worker(batch=2).work()
    assert (outcome.published, outcome.more_due) == (5, False)
    sizes = PublishBatch.objects.order_by("seq").values_list("size", flat=True)
    assert list(sizes) == [2, 2, 1]


class TestUrgency:
    def test_a_lifted_person_goes_first_and_in_order(
        self, world: World, broker: MemoryBroker
    ) -> None:
        world.append(30)
        urgent = world.new_person()
        world.append(2, person=urgent)
        world.append(1, person=urgent, priority="HIGH")
        world.worker(batch=3).work(seconds=-1)
        assert [mark_of(record.value) for record in broker.read(TOPIC)] == [
            *("0", "1", "2")
        ]
        assert {record.key for record in broker.read(TOPIC)} == {str(urgent).encode()}

    def test_a_batch_that_failed_comes_back_lifted(
        self, world: World, visible: Visible, broker: MemoryBroker
    ) -> None:
        """Its rows were in flight when the person was lifted."""
        urgent = world.new_person()
        world.append(1, person=urgent)
        world.append(5)
        worker = world.worker(batch=6)

        def lift_and_fail() -> None:
            world.append(1, person=urgent, priority="HIGH")
            raise ZeroDivisionError

        worker.at("before commit", lift_and_fail).work()
        world.clock.advance(MOMENT)
        successor = world.worker(batch=2)
        successor.work(seconds=-1)
        assert visible() == {urgent: ["0", "1"]}
        successor.work()
        assert visible() == world.sent


class TestBreaker:
    def test_it_is_told_of_success(self, world: World) -> None:
        world.append(1)
        worker = world.worker()
        worker.work()
        # Building the producer, looking at the progress, publishing.
        assert worker.breaker.told == [None, None, None]

    def test_it_is_told_of_a_doubt(self, world: World) -> None:
        world.append(1)
        worker = world.worker()

        def burst() -> None:
            raise ZeroDivisionError

        worker.at("after stage", burst).work()
        assert isinstance(worker.breaker.told[-1], ZeroDivisionError)

    def test_while_it_is_open_nothing_is_touched(self, world: World) -> None:
        world.append(1)
        worker = world.worker()
        worker.breaker.refuses = lambda _n: CircuitBreakerOpen(
            "kafka", "open", 7.0, "x"
        )
        outcome = worker.work()
        assert (outcome.state, outcome.retry_after) == ("waiting", 7.0)
        assert not PublishBatch.objects.exists()

    def test_opening_in_mid_turn_gives_the_claim_back_clean(
        self, world: World, visible: Visible
    ) -> None:
        world.append(1)
        worker = world.worker()
        worker.breaker.refuses = lambda asked: (
            CircuitBreakerOpen("kafka", "open", 7.0, "x") if asked == 3 else None
        )
        assert worker.work().state == "waiting"
        assert world.lease().is_clean
        assert world.statuses() == {"pending": 1}
        assert "before fence" not in worker.hooks.passed
        worker.breaker.refuses = lambda _n: None
        world.clock.advance(MOMENT)
        worker.work()
        assert visible() == world.sent

    def test_a_permission_that_was_not_needed_says_nothing(self, world: World) -> None:
        world.append(1)
        worker = world.worker()
        worker.work()
        world.append(1)
        snatched = world.worker()
        # Somebody else is quicker between the look and the take.
        asked = worker.breaker.asked

        def be_late(number: int) -> None:
            if number == asked + 1:
                snatched.work()

        worker.breaker.refuses = be_late
        assert worker.work().published == 0
        assert isinstance(worker.breaker.told[-1], NothingSentError)


class TestTrouble:
    def test_an_absent_broker_leaves_everything_as_it_was(
        self, world: World, broker: MemoryBroker
    ) -> None:
        world.append(1)
        broker.away = True
        worker = world.worker()
        outcome = worker.work()
        assert (outcome.state, outcome.retry_after > 0) == ("waiting", True)
        assert world.statuses() == {"pending": 1}
        assert isinstance(worker.breaker.told[0], UnreachableError)

    def test_a_missing_topic_is_no_doubt(self, world: World, visible: Visible) -> None:
        """Nothing was sent, so nobody needs to be fenced."""
        world.append(1)
        worker = world.worker()

        def miss() -> None:
            raise UnreachableError("no such topic")

        worker.at("before stage", miss).work()
        assert world.lease().is_clean
        world.clock.advance(MOMENT)
        worker.work()
        assert "before fence" not in worker.hooks.passed
        assert visible() == world.sent

    def test_a_refusal_of_the_relay_itself_parks_nobody(self, world: World) -> None:
        world.append(1)
        worker = world.worker()

        def refuse() -> None:
            raise MisconfiguredError("no rights")

        assert worker.at("after stage", refuse).work().state == "doubt"
        world.clock.advance(MOMENT)
        worker.work()
        assert world.statuses() == {"published": 1}

    def test_the_rule_of_doubts_counts_the_batches_that_had_to_be_asked_for(
        self, world: World
    ) -> None:
        def counted() -> float:
            return selected("BridgePublishDoubts", generate_latest().decode())

        world.append(1)
        worker = world.worker()
        before = counted()

        def lose() -> None:
            raise TimeoutError("the answer did not come")

        assert worker.at("after stage", lose).work().state == "doubt"
        assert counted() == before + 1
        world.clock.advance(MOMENT)
        worker.work()
        assert world.statuses() == {"published": 1}
        assert counted() == before + 1

    def test_a_database_error_ends_the_turn_and_the_producer(
        self, world: World, visible: Visible
    ) -> None:
        world.append(1)
        worker = world.worker()

        def lose_database() -> None:
            raise OperationalError("gone")

        assert worker.at("after commit", lose_database).work().state == "doubt"
        assert worker.hooks.passed[-1] == "discard"
        assert world.worker().work().state == "busy"
        world.lease_runs_out()
        worker.work()
        assert visible() == world.sent

    def test_a_shard_that_fails_is_not_due_at_once(self, world: World) -> None:
        world.append(1)
        worker = world.worker()

        def burst() -> None:
            raise ZeroDivisionError

        worker.at("after stage", burst).work()
        assert due_publish_shards(now=world.clock()) == []
        world.clock.advance(MOMENT)
        assert due_publish_shards(now=world.clock()) == [0]

    def test_producers_are_not_built_as_fast_as_they_fail(self, world: World) -> None:
        world.append(1)
        worker = world.worker()
        for _ in range(40):
            worker.at("after build", _burst).work()
            world.clock.advance(MOMENT)
        assert worker.hooks.passed.count("before build") < 25


def _burst() -> None:
    raise ZeroDivisionError


class TestDue:
    def test_shards_with_messages_are_due(self, world: World) -> None:
        assert due_publish_shards(now=world.clock()) == []
        world.append(1)
        assert due_publish_shards(now=world.clock()) == [0]

    def test_a_shard_in_doubt_is_due_when_its_lease_has_run_out(
        self, world: World
    ) -> None:
        ShardLease.objects.create(
            step=LeaseStep.PUBLISH,
            shard=0,
            until=world.clock() + MOMENT,
            is_clean=False,
        )
        assert due_publish_shards(now=world.clock()) == []
        world.clock.advance(MOMENT)
        assert due_publish_shards(now=world.clock()) == [0]

    def test_a_shard_with_an_alarm_is_not_due(self, world: World) -> None:
        world.append(1)
        due_publish_shards(now=world.clock())
        ShardLease.objects.update(alarm="Something contradicts.")
        assert due_publish_shards(now=world.clock()) == []
        assert world.worker().work().state == "alarm"


class TestIdleProgress:
    """Kafka forgets the offsets of a group without members after a week."""

    def test_it_is_renewed_once_a_day(
        self, world: World, visible: Visible, broker: MemoryBroker
    ) -> None:
        world.append(1)
        worker = world.worker()
        worker.work()
        assert due_publish_shards(now=world.clock()) == []
        world.clock.advance(timedelta(hours=23))
        assert due_publish_shards(now=world.clock()) == []
        world.clock.advance(timedelta(hours=1))
        assert due_publish_shards(now=world.clock()) == [0]

        assert worker.work().state == "idle"

        assert due_publish_shards(now=world.clock()) == []
        assert broker.progress[0].seq == 2
        assert visible() == world.sent
        world.append(1)
        worker.work()
        assert visible() == world.sent

    def test_a_shard_that_never_published_has_none(self, world: World) -> None:
        due_publish_shards(now=world.clock())
        world.clock.advance(timedelta(days=30))
        assert due_publish_shards(now=world.clock()) == []


class TestAtLeastOnce:
    """The weaker mode: nothing is lost, a crash may repeat records with their ce_id."""

    @pytest.fixture
    def plain(self, world: World) -> World:
        world.transactional = False
        return world

    def test_records_appear_in_order_without_progress(
        self, plain: World, visible: Visible, broker: MemoryBroker
    ) -> None:
        plain.append(10)
        assert plain.worker(batch=3).work().published == 10
        assert visible() == plain.sent
        assert broker.progress == {}

    def test_after_a_doubt_a_batch_is_sent_again(
        self, plain: World, broker: MemoryBroker
    ) -> None:
        plain.append(3)
        worker = plain.worker()
        worker.at("after stage", _burst).work()
        plain.clock.advance(MOMENT)
        worker.work()
        records = broker.read(TOPIC)
        assert [mark_of(item.value) for item in records] == ["0", "1", "2"] * 2
        assert len({dict(item.headers)["ce_id"] for item in records}) == 3
        assert plain.statuses() == {"published": 3}

    def test_nobody_is_fenced_and_no_progress_read(self, plain: World) -> None:
        plain.append(3)
        worker = plain.worker()
        worker.at("after stage", _burst).work()
        plain.clock.advance(MOMENT)
        worker.work()
        assert not {"before fence", "before read"} & set(worker.hooks.passed)

    def test_going_on_with_transactions_later_is_no_contradiction(
        self, plain: World, visible: Visible
    ) -> None:
        plain.append(3)
        plain.worker().work()
        plain.transactional = True
        plain.append(3)
        worker = plain.worker()
        worker.at("after commit", _burst).work()
        plain.clock.advance(MOMENT)
        worker.work()
        assert visible() == plain.sent

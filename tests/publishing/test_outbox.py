"""Appending, lifting, parking and what operators decide about parked messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from biometrics import outbox
from biometrics.audit import ReasonMissingError
from biometrics.messages import NewMessage, Priority
from biometrics.models import AuditEntry, OutboxMessage, ParkedQueue
from biometrics.models.outbox import MessageStatus
from biometrics.outbox import OutboxError
from biometrics.shards import shard_of
from tests.publishing.world import World, marked


def priorities(person: UUID) -> list[int]:
    rows = OutboxMessage.objects.filter(subject=person).order_by("id")
    return list(rows.values_list("priority", flat=True))


def message(person: UUID, priority: Priority = "NORMAL") -> NewMessage:
    return marked("", person=person, priority=priority)


def append(world: World, *messages: NewMessage) -> set[int]:
    with transaction.atomic():
        return outbox.append(messages=messages, now=world.clock())


def park(world: World, *, person: UUID, index: int = 0) -> int:
    rows = OutboxMessage.objects.filter(subject=person).order_by("id")
    return outbox.park(
        subject=person,
        from_id=rows[index].id,
        code="too_large",
        reason="too large",
        now=world.clock(),
    )


class TestAppend:
    @pytest.mark.django_db(transaction=True)
    def test_it_needs_a_transaction(self, one_shard: None) -> None:
        with pytest.raises(OutboxError, match="transaction"):
            outbox.append(messages=[message(uuid4())], now=datetime.now(UTC))
        assert not OutboxMessage.objects.exists()

    def test_ids_rise_in_the_order_given(self, world: World) -> None:
        ce_ids = world.append(50)
        rows = OutboxMessage.objects.order_by("id")
        assert list(rows.values_list("ce_id", flat=True)) == ce_ids

    def test_it_names_the_shards_with_new_work(
        self, world: World, settings: Settings
    ) -> None:
        settings.SHARDS = 16
        people = [world.new_person() for _ in range(5)]
        touched = append(world, *(message(person) for person in people))
        assert touched == {shard_of(str(person)) for person in people}
        stored = OutboxMessage.objects.values_list("subject", "shard")
        assert all(shard == shard_of(str(person)) for person, shard in stored)

    def test_a_person_who_is_parked_gives_no_work(self, world: World) -> None:
        world.append()
        park(world, person=world.person)
        assert append(world, message(world.person)) == set()
        assert world.statuses() == {"parked": 2}


class TestLifting:
    def test_high_lifts_what_the_person_has_waiting(self, world: World) -> None:
        world.append(3)
        other = world.new_person()
        world.append(2, person=other)
        world.append(priority="HIGH")
        assert priorities(world.person) == [2, 2, 2, 2]
        assert priorities(other) == [0, 0]

    def test_predecessors_in_the_same_call_are_lifted_and_successors_are_not(
        self, world: World
    ) -> None:
        append(
            world,
            message(world.person),
            message(world.person, "HIGH"),
            message(world.person),
        )
        assert priorities(world.person) == [2, 2, 0]

    def test_medium_lifts_too_but_never_lowers(self, world: World) -> None:
        world.append(priority="HIGH")
        world.append()
        world.append(priority="MEDIUM")
        assert priorities(world.person) == [2, 1, 1]

    @pytest.mark.parametrize("status", ["in_batch", "parked"])
    def test_rows_that_may_come_back_are_lifted(
        self, world: World, status: str
    ) -> None:
        world.append()
        OutboxMessage.objects.update(status=status)
        world.append(priority="HIGH")
        assert priorities(world.person) == [2, 2]

    def test_published_rows_stay_as_they_are(self, world: World) -> None:
        world.append()
        OutboxMessage.objects.update(status=MessageStatus.PUBLISHED)
        world.append(priority="HIGH")
        assert priorities(world.person) == [0, 2]


class TestParking:
    def test_it_holds_back_one_person_from_one_message_on(self, world: World) -> None:
        world.append(3)
        other = world.new_person()
        world.append(1, person=other)
        assert park(world, person=world.person, index=1) == 2
        assert world.statuses() == {"pending": 2, "parked": 2}
        queue = ParkedQueue.objects.get()
        assert (queue.subject, queue.reason) == (world.person, "too large")

    def test_the_reason_is_on_the_message_that_stopped_it(self, world: World) -> None:
        world.append(2)
        park(world, person=world.person)
        errors = OutboxMessage.objects.order_by("id").values_list("error", flat=True)
        assert list(errors) == ["too large", ""]

    def test_retrying_lets_all_of_it_flow(self, world: World) -> None:
        world.append(3)
        park(world, person=world.person)
        count = outbox.retry(
            subject=world.person, actor="eva", reason="topic mended", now=world.clock()
        )
        assert count == 3
        assert world.statuses() == {"pending": 3}
        assert not ParkedQueue.objects.exists()
        assert append(world, message(world.person)) == {0}

    def test_skipping_gives_up_the_one_and_frees_the_rest(self, world: World) -> None:
        world.append(3)
        park(world, person=world.person)
        count = outbox.skip(
            subject=world.person, actor="eva", reason="not ours", now=world.clock()
        )
        assert count == 2
        dead = OutboxMessage.objects.get(status=MessageStatus.DEAD)
        assert dead.id == OutboxMessage.objects.earliest("id").id
        assert "not ours" in dead.error

    @pytest.mark.parametrize("act", [outbox.retry, outbox.skip, outbox.hold_back])
    def test_no_act_without_a_reason(
        self, world: World, act: Callable[..., int]
    ) -> None:
        world.append(2)
        if act is not outbox.hold_back:
            park(world, person=world.person)
        before = world.statuses()
        with pytest.raises(ReasonMissingError):
            act(subject=world.person, actor="eva", reason=" ", now=world.clock())
        assert world.statuses() == before

    def test_every_act_is_written_down(self, world: World) -> None:
        world.append(2)
        for act in (outbox.hold_back, outbox.retry):
            act(subject=world.person, actor="eva", reason="a test", now=world.clock())
        park(world, person=world.person)
        outbox.skip(
            subject=world.person, actor="eva", reason="a test", now=world.clock()
        )
        verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
        assert list(verbs) == ["outbox.park", "outbox.retry", "outbox.skip"]
        assert set(AuditEntry.objects.values_list("target", flat=True)) == {
            f"subject {world.person}"
        }

    @pytest.mark.parametrize("act", [outbox.retry, outbox.skip])
    def test_nothing_parked_is_said(
        self, world: World, act: Callable[..., int]
    ) -> None:
        with pytest.raises(OutboxError, match="parked"):
            act(subject=world.person, actor="eva", reason="x", now=world.clock())


class TestWithdrawing:
    def test_what_waits_is_deleted_and_what_is_published_stays(
        self, world: World
    ) -> None:
        world.append(3)
        first = OutboxMessage.objects.earliest("id")
        OutboxMessage.objects.filter(id=first.id).update(status="published")
        park(world, person=world.person, index=2)
        assert outbox.withdraw(subject=world.person) == 2
        assert world.statuses() == {"published": 1}
        assert not ParkedQueue.objects.exists()

    def test_an_open_batch_is_waited_for(self, world: World) -> None:
        world.append(2)
        last = OutboxMessage.objects.latest("id")
        OutboxMessage.objects.filter(id__lt=last.id).update(status="in_batch")
        with pytest.raises(OutboxError, match="being published"):
            outbox.withdraw(subject=world.person)
        assert OutboxMessage.objects.count() == 2


def test_a_shard_is_a_stable_function_of_the_key(settings: Settings) -> None:
    settings.SHARDS = 16
    assert [shard_of("oura", str(n)) for n in range(6)] == [13, 13, 10, 9, 10, 2]
    assert shard_of("a", "bc") != shard_of("ab", "c")

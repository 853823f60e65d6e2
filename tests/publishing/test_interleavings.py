"""Who dies, sleeps and wakes when: each record still appears once and in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from biometrics.models import PublishBatch
from biometrics.models.outbox import BatchState
from biometrics.publishing.producers import DoubtError
from biometrics.publishing.producers.memory import MemoryBroker
from tests.publishing.world import Death, World, both_modes

Visible = Callable[[], dict[UUID, list[str]]]

# Every point of a first batch at which a process can be gone.
POINTS = ["before stage", "after stage", "before commit", "after commit"]
TAKEOVER_POINTS = ["before fence", "after fence", "before read", "after read"]


@both_modes
@pytest.mark.parametrize("point", POINTS)
def test_a_successor_ends_what_a_dead_relay_began(
    world: World, visible: Visible, point: str
) -> None:
    world.append(10)
    with pytest.raises(Death):
        world.worker().dies_at(point).work()
    world.lease_runs_out()

    world.worker().work()

    assert visible() == world.sent
    assert world.statuses() == {"published": 10}


@pytest.mark.parametrize("second", TAKEOVER_POINTS + POINTS)
@pytest.mark.parametrize("first", POINTS)
def test_a_second_death_during_the_takeover_harms_nobody(
    world: World, visible: Visible, first: str, second: str
) -> None:
    world.append(10)
    with pytest.raises(Death):
        world.worker().dies_at(first).work()
    world.lease_runs_out()
    successor = world.worker().dies_at(second)
    if first == "after commit" and second in POINTS:
        # Nothing is left to send: the successor finds the batch in Kafka.
        successor.work()
    else:
        with pytest.raises(Death):
            successor.work()
    world.lease_runs_out()

    world.worker().work()

    assert visible() == world.sent


@both_modes
@pytest.mark.parametrize("point", ["before build", *POINTS])
def test_a_zombie_that_wakes_after_a_takeover_changes_nothing(
    world: World, visible: Visible, point: str
) -> None:
    world.append(10)
    zombie, successor = world.worker(), world.worker()

    def sleep() -> None:
        world.lease_runs_out()
        successor.work()

    assert zombie.at(point, sleep).work().published == 0

    assert visible() == world.sent
    assert world.statuses() == {"published": 10}


@pytest.mark.parametrize("wakes_at", [*TAKEOVER_POINTS, *POINTS])
def test_a_zombie_with_an_open_transaction_wakes_during_the_takeover(
    world: World, visible: Visible, wakes_at: str
) -> None:
    """Its commit counts before the fence and is found; after it, it is refused."""
    world.append(10)
    zombie = world.worker()
    zombie.hooks.sleeps = True
    with pytest.raises(Death):
        zombie.dies_at("before commit").work()
    world.lease_runs_out()
    woken: list[str] = []

    def wake() -> None:
        try:
            zombie.hooks.commit()
            woken.append("committed")
        except DoubtError:
            woken.append("refused")

    successor = world.worker().at(wakes_at, wake)
    successor.work()

    assert woken == ["committed" if wakes_at == "before fence" else "refused"]
    assert visible() == world.sent


def test_a_zombie_that_sleeps_while_it_takes_over_stops(
    world: World, visible: Visible
) -> None:
    world.append(10)
    with pytest.raises(Death):
        world.worker().dies_at("before commit").work()
    world.lease_runs_out()
    sleeper, other = world.worker(), world.worker()

    def sleep() -> None:
        world.lease_runs_out()
        other.work()

    outcome = sleeper.at("after read", sleep).work()

    assert outcome.state in {"busy", "doubt"}
    assert visible() == world.sent


def test_two_that_fence_the_same_id_do_not_disturb_each_other(
    world: World, visible: Visible
) -> None:
    world.append(10)
    with pytest.raises(Death):
        world.worker().dies_at("before commit").work()
    world.lease_runs_out()
    first, second = world.worker(), world.worker()

    def both() -> None:
        world.lease_runs_out()
        second.work()

    first.at("after fence", both).work()

    assert visible() == world.sent
    assert world.statuses() == {"published": 10}


def test_a_taker_that_dies_before_fencing_leaves_the_right_name(
    world: World, visible: Visible
) -> None:
    """The lease must go on naming the one whose transaction is in doubt."""
    world.append(10)
    zombie = world.worker()
    dying, successor = world.worker(), world.worker()

    def others() -> None:
        world.lease_runs_out()
        with pytest.raises(Death):
            dying.dies_at("before fence").work()
        world.lease_runs_out()
        successor.work()

    zombie.at("before commit", others).work()

    assert visible() == world.sent


@both_modes
def test_a_relay_that_lost_its_producer_recovers_its_own_shard(
    world: World, visible: Visible, broker: MemoryBroker
) -> None:
    """The holder has a new id by then: the old one is fenced, the new one goes on."""
    world.append(5)
    worker = world.worker()

    def lose() -> None:
        raise DoubtError("no answer")

    assert worker.at("before commit", lose).work().state == "doubt"
    world.clock.advance(timedelta(seconds=2))
    world.append(5)

    assert worker.work().published == 10
    assert visible() == world.sent


def test_a_commit_whose_answer_was_lost_is_found_in_kafka(
    world: World, visible: Visible
) -> None:
    world.append(5)
    worker = world.worker()

    def lose() -> None:
        raise DoubtError("no answer")

    assert worker.at("after commit", lose).work().state == "doubt"
    world.clock.advance(timedelta(seconds=2))

    assert worker.work().published == 0
    assert visible() == world.sent
    assert PublishBatch.objects.get().state == BatchState.PUBLISHED


@both_modes
def test_an_unknown_exception_is_a_doubt(world: World, visible: Visible) -> None:
    world.append(5)
    worker = world.worker()

    def burst() -> None:
        raise ZeroDivisionError

    assert worker.at("after stage", burst).work().state == "doubt"
    assert worker.hooks.passed[-1] == "discard"
    world.clock.advance(timedelta(seconds=2))
    worker.work()
    assert visible() == world.sent


@both_modes
def test_a_holder_that_rebuilt_its_producer_before_losing_the_lease(
    world: World, visible: Visible
) -> None:
    """Its new id was never named by this shard: the named one is fenced, not the new."""
    world.append(5)
    holder, successor = world.worker(), world.worker()

    def lose_and_be_overtaken() -> None:
        holder.relay.close()
        world.lease_runs_out()
        successor.work()

    outcome = holder.at("after stage", lose_and_be_overtaken).work()

    assert outcome.state in {"busy", "doubt"}
    world.append(5)
    holder.work()
    assert visible() == world.sent


def test_the_broker_goes_away_during_the_fence(
    world: World, visible: Visible, broker: MemoryBroker
) -> None:
    world.append(5)
    with pytest.raises(Death):
        world.worker().dies_at("before commit").work()
    world.lease_runs_out()
    worker = world.worker()

    def vanish() -> None:
        broker.away = True

    assert worker.at("before fence", vanish).work().state == "waiting"
    assert not world.lease().is_clean
    broker.away = False
    world.clock.advance(timedelta(seconds=2))
    worker.work()

    assert visible() == world.sent

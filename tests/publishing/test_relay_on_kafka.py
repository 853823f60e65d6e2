"""The interleavings that matter most, on the real broker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from auren.devstack.kafka import EmbeddedKafka
from biometrics.publishing.producers import DoubtError
from biometrics.publishing.producers.kafka_cluster import KafkaCluster
from tests.publishing.clusters import kafka_config
from tests.publishing.poison_contract import PoisonContract
from tests.publishing.records import read_all
from tests.publishing.test_poison import people
from tests.publishing.world import Death, World, mark_of
from tests.services import create_topic

pytestmark = pytest.mark.kafka

Visible = Callable[[], dict[UUID, list[str]]]


# The same test in both modes of KAFKA_DELIVERY, each held to its own promise.
both_modes = pytest.mark.parametrize(
    "real", ["exactly_once", "at_least_once"], indirect=True
)


def make_world(servers: str, *, mode: str = "exactly_once") -> World:
    """Create the topics of one test."""
    mark = uuid.uuid4().hex[:8]
    create_topic(servers, name=f"progress-{mark}", partitions=1)
    create_topic(servers, name=f"events-{mark}", config={"max.message.bytes": "50000"})
    cluster = KafkaCluster(kafka_config(servers, progress_topic=f"progress-{mark}"))
    transactional = mode == "exactly_once"
    return World(cluster, topic=f"events-{mark}", transactional=transactional)


def seen_by(servers: str, world: World) -> dict[UUID, list[str]]:
    """Return the marks that a read_committed reader sees of each person, in order.

    In the weaker mode it leaves out what has a ce_id that it has seen.
    """
    seen: dict[UUID, list[str]] = {}
    known: set[bytes] = set()
    for _, key, value, headers in read_all(servers, topic=world.topic):
        ce_id = dict(headers)["ce_id"]
        if ce_id in known and not world.transactional:
            continue
        known.add(ce_id)
        seen.setdefault(UUID(key.decode()), []).append(mark_of(value))
    return seen


@pytest.fixture
def real(
    request: pytest.FixtureRequest, db: None, one_shard: None, kafka: str
) -> Iterator[World]:
    """Return a world over the real broker; see `both_modes`."""
    world = make_world(kafka, mode=getattr(request, "param", "exactly_once"))
    yield world
    world.close()


@pytest.fixture
def visible(kafka: str, real: World) -> Visible:
    return lambda: seen_by(kafka, real)


@both_modes
def test_records_appear_once_and_in_order(real: World, visible: Visible) -> None:
    people(real, 20, each=5)
    assert real.worker(batch=7).work().published == 100
    assert visible() == real.sent


@both_modes
@pytest.mark.parametrize("point", ["after stage", "after commit"])
def test_a_successor_ends_what_a_dead_relay_began(
    real: World, visible: Visible, point: str
) -> None:
    real.append(10)
    dead = real.worker()
    dead.hooks.sleeps = True
    with pytest.raises(Death):
        dead.dies_at(point).work()
    real.lease_runs_out()
    real.append(3)

    real.worker().work()

    assert visible() == real.sent
    assert real.statuses() == {"published": 13}


@pytest.mark.parametrize("wakes_at", ["before fence", "before read", "before stage"])
def test_a_zombie_with_an_open_transaction_wakes_during_the_takeover(
    real: World, visible: Visible, wakes_at: str
) -> None:
    real.append(10)
    zombie = real.worker()
    zombie.hooks.sleeps = True
    with pytest.raises(Death):
        zombie.dies_at("before commit").work()
    real.lease_runs_out()
    woken: list[str] = []

    def wake() -> None:
        try:
            zombie.hooks.commit()
            woken.append("committed")
        except DoubtError:
            woken.append("refused")

    real.worker().at(wakes_at, wake).work()

    assert woken == ["committed" if wakes_at == "before fence" else "refused"]
    assert visible() == real.sent


def test_two_that_fence_the_same_id_do_not_disturb_each_other(
    real: World, visible: Visible
) -> None:
    real.append(10)
    dead = real.worker()
    dead.hooks.sleeps = True
    with pytest.raises(Death):
        dead.dies_at("before commit").work()
    real.lease_runs_out()
    first, second = real.worker(), real.worker()

    def both() -> None:
        real.lease_runs_out()
        second.work()

    first.at("after fence", both).work()

    assert visible() == real.sent


@both_modes
def test_a_relay_recovers_its_own_shard_after_a_doubt(
    real: World, visible: Visible
) -> None:
    real.append(5)
    worker = real.worker()

    def lose() -> None:
        raise DoubtError("no answer")

    worker.at("before commit", lose).work()
    real.lease_runs_out()
    real.append(5)
    assert worker.work().published == 10
    assert visible() == real.sent


def test_the_broker_is_killed_during_the_fence(
    db: None, one_shard: None, own_kafka: EmbeddedKafka
) -> None:
    world = make_world(own_kafka.bootstrap_servers)
    world.append(10)
    dead = world.worker()
    dead.hooks.sleeps = True
    with pytest.raises(Death):
        dead.dies_at("before commit").work()
    world.lease_runs_out()
    successor = world.worker()

    outcome = successor.at("before fence", own_kafka.kill9).work()

    assert outcome.state == "waiting"
    assert not world.lease().is_clean
    own_kafka.start()
    world.lease_runs_out()
    assert successor.work().published == 10
    assert seen_by(own_kafka.bootstrap_servers, world) == world.sent
    world.close()


@pytest.mark.parametrize("mode", ["exactly_once", "at_least_once"])
def test_the_broker_is_killed_before_the_commit(
    db: None, one_shard: None, own_kafka: EmbeddedKafka, mode: str
) -> None:
    world = make_world(own_kafka.bootstrap_servers, mode=mode)
    world.append(10)
    worker = world.worker()

    def kill() -> None:
        own_kafka.kill9()
        own_kafka.start()

    worker.at("after stage", kill).work()
    world.lease_runs_out()
    world.append(2)
    worker.work()

    assert seen_by(own_kafka.bootstrap_servers, world) == world.sent
    assert world.statuses() == {"published": 12}
    world.close()


class TestPoisonOnKafka(PoisonContract):
    @pytest.fixture
    def world(self, real: World) -> World:
        return real

    @pytest.fixture
    def everything(self, kafka: str, real: World) -> Callable[[], int]:
        def count() -> int:
            options = {"topic": real.topic, "isolation": "read_uncommitted"}
            return len(read_all(kafka, **options))

        return count

"""Workers side by side: order per account, one lock a person, no deadlock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connections, transaction

from biometrics import leases
from biometrics.models import OutboxMessage, Subject, VendorConnection
from biometrics.models.people import lock_subjects
from biometrics.pipeline import ProcessOutcome, process_shard
from tests.pipeline.world import World, record, says, states, value

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNTS = ("alpha", "beta", "gamma", "delta")
DELIVERIES = 40


@pytest.fixture
def world(transactional_db: None) -> World:
    return World()


def at_once(*works: Callable[[], None]) -> None:
    """Run everything side by side; what one raises is raised here."""

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result(timeout=60)


def work_off(world: World, shard: int) -> None:
    while process_shard(shard=shard, now=world.clock, budget_s=60).more_due:
        pass


def test_workers_on_one_person_keep_each_accounts_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biometrics.pipeline._MAX_ROWS", 5)
    people = [Subject.objects.create(label=name) for name in ("Ada", "Grace")]
    for number, account in enumerate(ACCOUNTS):
        VendorConnection.objects.create(
            vendor="acme", account_id=account, subject=people[number % 2]
        )
    shards = set()
    for n in range(DELIVERIES):
        for account in ACCOUNTS:
            delivery = world.store(says(record(f"{account} {n:03}")), account=account)
            shards.add(delivery.shard)
    leases.ensure()
    at_once(*(partial(work_off, world, shard) for shard in sorted(shards)))
    assert states() == {"processed": DELIVERIES * len(ACCOUNTS)}
    told: dict[str, list[str]] = {account: [] for account in ACCOUNTS}
    owner: dict[str, UUID] = {}
    for message in OutboxMessage.objects.order_by("id"):
        record_id = value(message)["record"]["id"]
        account = record_id.split()[0]
        told[account].append(record_id)
        owner[account] = message.subject
    for account in ACCOUNTS:
        assert told[account] == [f"{account} {n:03}" for n in range(DELIVERIES)]
    assert owner["alpha"] == owner["gamma"] == people[0].id


def test_two_workers_on_one_shard_do_its_work_once(world: World) -> None:
    stored = [world.store(says(record(f"r{n}"))) for n in range(30)]
    leases.ensure()
    at_once(*[partial(work_off, world, stored[0].shard)] * 4)
    world.run()
    assert states() == {"processed": 30}
    assert OutboxMessage.objects.count() == 30


def test_locking_many_people_twice_at_once_does_not_deadlock(world: World) -> None:
    people = [Subject.objects.create(label=str(n)).id for n in range(50)]

    def lock(ids: list[UUID]) -> None:
        for _ in range(20):
            with transaction.atomic():
                lock_subjects(ids)

    at_once(partial(lock, people), partial(lock, people[::-1]))


# SQLite has one writer; there is no lock of a row to wait for.
if "sqlite" not in settings.DATABASES["default"]["ENGINE"]:

    def test_a_person_who_is_locked_for_long_delays_and_parks_nothing(
        world: World,
    ) -> None:
        world.carry(says(record("first")))
        delivery = world.store(says(record("second")))
        with ThreadPoolExecutor(1) as pool:

            def process() -> ProcessOutcome:
                try:
                    return process_shard(
                        shard=delivery.shard, now=world.clock, budget_s=60
                    )
                finally:
                    connections.close_all()

            with transaction.atomic():
                lock_subjects(Subject.objects.values_list("id", flat=True))
                outcome = pool.submit(process).result(timeout=30)
        assert outcome.more_due
        delivery.refresh_from_db()
        assert (delivery.status, delivery.unfinished) == ("pending", 0)
        world.run()
        assert states() == {"processed": 2}

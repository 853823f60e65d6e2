"""What goes wrong with one delivery parks that one alone, and says what to do."""

from __future__ import annotations

import itertools
import pkgutil
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError

from biometrics import deliveries, leases
from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    ShardLease,
    WebhookDelivery,
)
from biometrics.models.outbox import LeaseStep
from biometrics.normalise import storing
from biometrics.pipeline import due_process_shards, process_shard
from tests.pipeline.world import World, record, says, sent, states, value


def fail_at(monkeypatch: pytest.MonkeyPatch, *record_ids: str) -> None:
    """Let the database refuse these records."""
    real = storing.store

    def store(judged: Any, **arguments: Any) -> None:
        real(judged, **arguments)
        said = {r.claim.statement.record.record_id for r in judged.rulings}
        if said & set(record_ids):
            raise ValueError("a secret value")

    monkeypatch.setattr(storing, "store", store)


class TestOneBadDelivery:
    def test_an_unreadable_one_is_parked_with_its_field(self, world: World) -> None:
        world.store(says(record("before")))
        bad = world.store({"unreadable": "data[0].steps"})
        world.store(says(record("after")))
        world.run()
        bad.refresh_from_db()
        assert states() == {"processed": 2, "parked": 1}
        assert bad.error_code == "unreadable"
        assert "data[0].steps" in bad.error
        assert "replay" in bad.error

    def test_a_bug_of_an_adapter_is_parked_without_the_value(
        self, world: World
    ) -> None:
        bad = world.carry({"crash": True})
        assert (bad.status, bad.error_code) == ("parked", "adapter_failed")
        assert "KeyError" in bad.error
        assert "secret" not in bad.error

    @pytest.mark.parametrize(
        ("field", "broken"),
        [
            ("record_id", record("x" * 201)),
            ("record_id", record("a\x00b")),
            ("record_type", record(type="")),
            ("zone_offset", record(zone="Europe/Paris")),
            ("start", record(start="2026-11-24T01:00:00")),
        ],
    )
    def test_a_record_that_fits_no_table_names_its_field(
        self, world: World, field: str, broken: dict[str, Any]
    ) -> None:
        bad = world.carry(says(record("fine"), broken))
        assert (bad.status, bad.error_code) == ("parked", "unreadable")
        assert bad.error.startswith(f"{field}: ")

    def test_a_character_that_no_json_column_takes_costs_only_itself(
        self, world: World
    ) -> None:
        attributes = {"good": "yes", "bad": "a\x00b"}
        delivery = world.carry(says(record(attributes=attributes)))
        event = BiometricEvent.objects.get()
        assert delivery.status == "processed"
        assert event.data["attributes"] == {"good": "yes"}
        assert event.problems[0]["field"] == "attributes.bad"

    def test_what_the_database_refuses_stands_alone_in_the_end(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_at(monkeypatch, "r5", "r11")
        stored = [world.store(says(record(f"r{n}"))) for n in range(16)]
        world.run()
        for delivery in stored:
            delivery.refresh_from_db()
        parked = [n for n, d in enumerate(stored) if d.status == "parked"]
        assert parked == [5, 11]
        assert stored[5].error_code == "not_stored"
        assert "ValueError" in stored[5].error
        assert "secret" not in stored[5].error
        ids = [value(message)["record"]["id"] for message in sent()]
        assert ids == [f"r{n}" for n in range(16) if n not in {5, 11}]
        assert not BiometricEvent.objects.filter(record_id__in=["r5", "r11"]).exists()

    def test_partly_usable_ones_say_what_was_left_out(self, world: World) -> None:
        problem = {"field": "data[1].id", "reason": "no identity"}
        delivery = world.carry(says(record(), problems=[problem]))
        assert (delivery.status, delivery.error_code) == ("processed", "partial")
        assert "data[1].id" in delivery.error

    def test_nothing_usable_is_parked(self, world: World) -> None:
        problem = {"field": "data[0].id", "reason": "no identity"}
        delivery = world.carry(says(problems=[problem]))
        assert (delivery.status, delivery.error_code) == ("parked", "unusable")
        assert "data[0].id" in delivery.error

    def test_an_unregistered_vendor_is_parked(self, world: World) -> None:
        delivery = world.carry(says(record()), vendor="nobody")
        assert (delivery.status, delivery.error_code) == ("parked", "unknown_vendor")

    def test_dropped_bytes_are_parked(self, world: World) -> None:
        delivery = world.store(says(record()))
        WebhookDelivery.objects.update(body=None)
        world.run()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error_code) == ("parked", "body_gone")


class TestDeadWorkers:
    @staticmethod
    def die(monkeypatch: pytest.MonkeyPatch, world: World, times: int) -> None:
        """Let workers begin and die: no exception handler of ours ever runs."""

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("biometrics.items.understand", killed)
            for _ in range(times):
                with pytest.raises(KeyboardInterrupt):
                    world.run()

    def test_the_third_death_parks(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = world.store(says(record()))
        self.die(monkeypatch, world, 3)
        world.run()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error_code) == ("parked", "worker_killed")
        assert "3 times" in delivery.error

    def test_fewer_deaths_are_forgotten_with_success(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = world.store(says(record()))
        self.die(monkeypatch, world, 2)
        world.run()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.unfinished) == ("processed", 0)

    def test_suspects_are_worked_on_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(3):
            world.store(says(record(f"r{n}")))
        self.die(monkeypatch, world, 1)
        world.store(says(record("r3")))
        shard = WebhookDelivery.objects.earliest("id").shard
        batches = []
        while batch := deliveries.begin(
            shard=shard, now=world.now, max_rows=500, max_bytes=10**6
        ).deliveries:
            batches.append(len(batch))
            ends = {d.id: deliveries.PROCESSED for d in batch}
            deliveries.finish(deliveries=batch, dispositions=ends, now=world.now)
        assert batches == [1, 1, 1, 1]


class TestTimeLimit:
    """Celery raises in whatever runs when a task's time is up: nobody's fault."""

    def stop_in(
        self, monkeypatch: pytest.MonkeyPatch, place: str, world: World
    ) -> None:
        real, times = pkgutil.resolve_name(place), itertools.count()

        def up(*given: Any, **named: Any) -> Any:
            # Once, as Celery does.
            if next(times) == 0:
                raise SoftTimeLimitExceeded
            return real(*given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(place, up)
            with pytest.raises(SoftTimeLimitExceeded):
                world.run()

    @pytest.mark.parametrize(
        "place",
        [
            "tests.pipeline.acme.Acme.understand",
            "biometrics.steps.store",
            "biometrics.deliveries.finish",
        ],
    )
    def test_it_parks_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        rows = [world.store(says(record(f"r{n}"))) for n in range(3)]
        self.stop_in(monkeypatch, place, world)
        assert states() == {"pending": 3}
        # The lease was given back, and each is worked on alone: one of them is slow.
        assert {row.until <= world.now for row in ShardLease.objects.all()} == {True}
        begun = deliveries.begin(
            shard=rows[0].shard, now=world.now, max_rows=500, max_bytes=10**6
        )
        assert begun.deliveries == rows[:1]
        world.run()
        assert states() == {"processed": 3}

    def test_what_takes_too_long_again_and_again_is_parked(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = world.store(says(record()))
        for _ in range(3):
            self.stop_in(monkeypatch, "tests.pipeline.acme.Acme.understand", world)
        world.run()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error_code) == ("parked", "worker_killed")
        assert "out of time" in delivery.error


class TestLeases:
    def test_one_worker_at_a_time(self, world: World) -> None:
        delivery = world.store(says(record()))
        lease = leases.take(step=LeaseStep.PROCESS, shard=delivery.shard, now=world.now)
        assert lease is not None
        (outcome,) = world.run()
        assert outcome.deliveries == 0
        assert states() == {"pending": 1}
        leases.release(lease=lease, now=world.now)
        world.run()
        assert states() == {"processed": 1}

    def test_what_comes_in_during_a_turn_is_left_to_the_next(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = world.store(says(record()))
        real = deliveries.begin

        def more_comes(**arguments: Any) -> deliveries.Begun:
            begun = real(**arguments)
            if WebhookDelivery.objects.count() == 1:
                world.store(says(record("r2")))
            return begun

        monkeypatch.setattr(deliveries, "begin", more_comes)
        outcome = process_shard(shard=delivery.shard, now=world.clock, budget_s=60)
        assert (outcome.deliveries, outcome.more_due) == (1, True)
        outcome = process_shard(shard=delivery.shard, now=world.clock, budget_s=60)
        assert (outcome.deliveries, outcome.more_due) == (1, False)

    def test_a_worker_that_lost_its_lease_writes_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = world.store(says(record()))
        real = deliveries.begin

        def stolen(**arguments: Any) -> deliveries.Begun:
            rows = real(**arguments)
            # Another worker has taken over by the time that this one is to write.
            ShardLease.objects.filter(shard=delivery.shard).update(token=99)
            return rows

        monkeypatch.setattr(deliveries, "begin", stolen)
        outcome = process_shard(shard=delivery.shard, now=world.clock, budget_s=5)
        delivery.refresh_from_db()
        assert delivery.status == "pending"
        assert not BiometricEvent.objects.exists()
        assert not OutboxMessage.objects.exists()
        assert outcome.publish_shards == set()

    def test_a_database_that_goes_away_parks_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.store(says(record()))

        def away(*_: object, **__: object) -> None:
            raise OperationalError("the server closed the connection")

        with monkeypatch.context() as patched:
            patched.setattr(storing, "store", away)
            with pytest.raises(OperationalError):
                world.run()
            for _ in range(3):
                with pytest.raises(OperationalError):
                    world.run()
        assert states() == {"pending": 1}
        assert due_process_shards(now=world.now)
        world.run()
        assert states() == {"processed": 1}

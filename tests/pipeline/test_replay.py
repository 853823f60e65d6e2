"""Reading stored deliveries again: only what changed is stored and published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from biometrics.audit import ReasonMissingError
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    Reading,
    ReplayRun,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.replay import pieces, runs
from biometrics.replay.selection import Selection, count
from biometrics.vendors.records import Understanding
from tests.pipeline import replaying
from tests.pipeline.acme import Acme
from tests.pipeline.replaying import again, finish
from tests.pipeline.world import World, record, says, sent, states

better_mapping = replaying.better_mapping
nudged = replaying.nudged
pytestmark = pytest.mark.usefixtures("nudged")

STEPS = {"steps": 10.0}


class TestReplay:
    def test_the_same_mapping_changes_nothing(self, world: World) -> None:
        world.carry(says(record("a", readings=STEPS)))
        world.carry(says(record("a", readings={"steps": 20.0})))
        world.carry(says(record("b", readings=STEPS)))
        before = len(sent())
        events = set(BiometricEvent.objects.values_list("id", "status"))
        run = again(world)
        assert len(sent()) == before
        assert set(BiometricEvent.objects.values_list("id", "status")) == events
        assert states() == {"processed": 3}
        assert (run.state, run.done, run.changed) == ("done", 3, 0)
        assert run.outcomes == {"processed": 3}

    def test_a_better_mapping_publishes_what_it_changes(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        world.carry(says(record("walk", readings=STEPS)))
        world.carry(says(record("rest", readings={"distance": 5.0})))
        better_mapping()
        run = again(world, vendor="acme")
        assert len(sent()) == 3
        assert sent()[-1].ce_id != sent()[0].ce_id
        assert Reading.objects.get(metric="steps").value == 20
        current = BiometricEvent.objects.get(record_id="walk", status="current")
        assert current.mapping_version == 2
        assert run.changed == 1

    def test_a_replayed_old_revision_stays_old(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        world.carry(says(record(readings=STEPS)))
        newer = record(readings={"steps": 11.0}, stamp="2026-11-24T09:00:00+00:00")
        world.carry(says(newer))
        better_mapping()
        run = again(world)
        assert Reading.objects.get().value == 22
        assert len(sent()) == 3
        assert run.changed == 1

    def test_parked_ones_get_another_chance(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> Understanding:
            raise KeyError("x")

        with monkeypatch.context() as patched:
            patched.setattr(Acme, "understand", broken)
            world.carry(says(record()))
        assert states() == {"parked": 1}
        run = again(world, status="parked", error_code="adapter_failed")
        assert states() == {"processed": 1}
        assert WebhookDelivery.objects.get().error == ""
        assert (run.outcomes, run.changed) == ({"processed": 1}, 1)

    def test_it_is_audited_and_needs_a_reason(self, world: World) -> None:
        delivery = world.carry(says(record()))
        with pytest.raises(ReasonMissingError):
            runs.begin(Selection(), actor="ada", reason=" ", now=world.now)
        assert not ReplayRun.objects.exists()
        run = runs.begin(
            Selection(vendor="acme", account_id="someone"),
            actor="ada",
            reason="to be sure",
            now=world.now,
        )
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.reason) == ("ada", "to be sure")
        assert entry.target == f"replay {run.pk}: 1 deliveries"
        assert entry.detail["deliveries"] == {"acme processed": 1}
        assert entry.detail["chosen"] == {"vendor": "acme"}
        runs.advance(now=world.clock, budget_s=1)
        delivery.refresh_from_db()
        assert delivery.status == "pending"

    def test_what_comes_after_the_beginning_is_not_meant(self, world: World) -> None:
        world.carry(says(record("a")))
        run = runs.begin(Selection(), actor="ada", reason="again", now=world.now)
        world.carry(says(record("b")))
        finish(world, run)
        assert run.done == 1

    def test_what_cannot_be_fetched_does_not_hold_the_rest(
        self, world: World, settings: Settings
    ) -> None:
        """It was never fetched, and its account has to be connected again first."""
        settings.REPLAY_PER_SECOND = 1
        Subject.objects.create(label="Ada")
        VendorConnection.objects.create(
            vendor="acme-notify", account_id="n", subject=Subject.objects.get()
        )
        world.store(
            {"fetch": "/x"}, vendor="acme-notify", account="n", status="processed"
        )
        for n in range(3):
            world.carry(says(record(f"r{n}")))
        run = again(world)
        assert run.state == "done"
        assert run.outcomes == {"processed": 3, "unlinked": 1}


class TestPace:
    def test_no_more_are_handed_over_than_allowed(
        self, world: World, settings: Settings
    ) -> None:
        settings.REPLAY_PER_SECOND = 2
        for n in range(30):
            world.store(says(record(f"r{n}")))
        world.run()
        run = runs.begin(Selection(), actor="ada", reason="again", now=world.now)
        started, counts = world.now, []
        while run.state != "done":
            runs.advance(now=world.clock, budget_s=1)
            world.run()
            run.refresh_from_db()
            elapsed = (world.now - started).total_seconds()
            assert run.handed <= 2 * (elapsed + 5)
            counts.append(run.handed)
            world.wait(seconds=2)
        assert counts[:4] == [10, 14, 18, 22]
        assert run.handed == run.total == 30

    def test_the_next_piece_waits_for_the_workers(
        self, world: World, settings: Settings
    ) -> None:
        settings.REPLAY_PER_SECOND = 2
        for n in range(30):
            world.store(says(record(f"r{n}")))
        world.run()
        run = runs.begin(Selection(), actor="ada", reason="again", now=world.now)
        for _ in range(5):
            runs.advance(now=world.clock, budget_s=1)
            world.wait(seconds=60)
        run.refresh_from_db()
        assert (run.handed, run.done, states()["pending"]) == (10, 0, 10)

    def test_the_pace_holds_for_all_replays_together(
        self, world: World, settings: Settings
    ) -> None:
        settings.REPLAY_PER_SECOND = 1
        for n in range(5):
            world.carry(says(record(f"r{n}")))
        first = runs.begin(Selection(), actor="ada", reason="again", now=world.now)
        second = runs.begin(Selection(), actor="eva", reason="again", now=world.now)
        runs.advance(now=world.clock, budget_s=1)
        world.run()
        world.wait(seconds=1)
        runs.advance(now=world.clock, budget_s=1)
        second.refresh_from_db()
        first.refresh_from_db()
        assert (first.state, second.handed) == ("done", 0)
        # A second has gone by since the first one's piece: the next begins with one.
        runs.advance(now=world.clock, budget_s=1)
        second.refresh_from_db()
        assert second.handed == 1
        finish(world, second)
        assert second.done == 5

    def test_a_worker_that_dies_in_the_middle_loses_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(4):
            world.carry(says(record(f"r{n}")))
        run = runs.begin(Selection(), actor="ada", reason="again", now=world.now)

        def die(_ids: object) -> int:
            raise SystemExit

        with monkeypatch.context() as patched:
            patched.setattr(pieces, "_events_of", die)
            with pytest.raises(SystemExit):
                runs.advance(now=world.clock, budget_s=1)
        assert states() == {"processed": 4}
        finish(world, run)
        assert (run.done, run.outcomes) == (4, {"processed": 4})


class TestSelection:
    def test_everything_given_must_hold(self, world: World) -> None:
        early = world.carry(says(record()))
        world.wait(hours=1)
        late = world.carry(says(record()), account="other")
        world.carry({"unreadable": "steps"})
        assert count(Selection()) == {
            ("acme", "processed"): 2,
            ("acme", "parked"): 1,
        }
        others = VendorConnection.objects.get(account_id="other").subject_id

        def chosen(**arguments: Any) -> set[Any]:
            rows = Selection(**arguments).rows()
            return set(rows.values_list("id", flat=True))

        assert chosen(until=world.now) == {early.id}
        assert chosen(account_id="other") == {late.id}
        assert chosen(ids=[early.public_id]) == {early.id}
        assert chosen(vendor="terra") == set()
        assert len(chosen(error_code="unreadable")) == 1
        assert chosen(subject=others) == {late.id}
        assert chosen(subject=others, until=world.now) == set()
        assert chosen(subject=uuid4()) == set()

    def test_what_waits_or_has_no_bytes_is_left_alone(self, world: World) -> None:
        world.store(says(record("due")))
        gone = world.store(says(record("gone")), status="processed")
        WebhookDelivery.objects.filter(id=gone.id).update(body=None)
        world.store(says(record()), status="erased")
        assert count(Selection()) == {}

    def test_it_can_be_kept_and_said_as_a_command(self, world: World) -> None:
        whole = Selection(
            vendor="acme",
            account_id="some one",
            subject=UUID(int=7),
            status="parked",
            error_code="unreadable",
            since=world.now,
            until=world.now + timedelta(hours=1),
            ids=(UUID(int=1), UUID(int=2)),
        )
        assert Selection.from_json(whole.as_json()) == whole
        assert Selection.from_json(Selection().as_json()) == Selection()
        assert Selection().as_command() == "manage.py replay --all"
        assert whole.as_command() == (
            "manage.py replay --vendor acme --account 'some one' --status parked"
            " --error-code unreadable"
            f" --subject {UUID(int=7)} --since 2026-11-24T08:00:00+00:00"
            f" --until 2026-11-24T09:00:00+00:00 --id {UUID(int=1)} --id {UUID(int=2)}"
        )

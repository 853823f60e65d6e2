"""Reading stored deliveries again: only what changed is stored and published."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from biometrics import replay
from biometrics.audit import ReasonMissingError
from biometrics.models import AuditEntry, BiometricEvent, Reading, WebhookDelivery
from biometrics.replay import Selection
from biometrics.vendors.base import StoredDelivery, Understanding
from tests.pipeline.acme import Acme
from tests.pipeline.world import World, record, says, sent, states

STEPS = {"steps": 10.0}


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    nudged: list[set[int]] = []
    monkeypatch.setattr("biometrics.nudges.nudge_processing", nudged.append)
    return nudged


@pytest.fixture
def better_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the vendor's mapping learn that its steps come in pairs."""
    before = Acme.understand

    def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
        said = before(self, delivery)
        records = tuple(
            replace(
                one,
                readings=tuple(
                    replace(r, value=r.value * 2) if r.metric == "steps" else r
                    for r in one.readings
                ),
            )
            for one in said.records
        )
        return replace(said, records=records)

    monkeypatch.setattr(Acme, "understand", understand)
    monkeypatch.setattr(Acme, "mapping_version", 2)


def again(world: World, **selection: Any) -> None:
    replay.replay(
        Selection(**selection), actor="ada", reason="a better mapping", now=world.now
    )
    world.run()


class TestReplay:
    def test_the_same_mapping_changes_nothing(self, world: World) -> None:
        world.carry(says(record("a", readings=STEPS)))
        world.carry(says(record("a", readings={"steps": 20.0})))
        world.carry(says(record("b", readings=STEPS)))
        before = len(sent())
        events = set(BiometricEvent.objects.values_list("id", "status"))
        again(world)
        assert len(sent()) == before
        assert set(BiometricEvent.objects.values_list("id", "status")) == events
        assert states() == {"processed": 3}

    @pytest.mark.usefixtures("better_mapping")
    def test_a_better_mapping_publishes_what_it_changes(self, world: World) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Acme, "understand", _plain)
            world.carry(says(record("walk", readings=STEPS)))
            world.carry(says(record("rest", readings={"distance": 5.0})))
        again(world, vendor="acme")
        assert len(sent()) == 3
        assert Reading.objects.get(metric="steps").value == 20
        current = BiometricEvent.objects.get(record_id="walk", status="current")
        assert current.mapping_version == 2

    def test_a_replayed_old_revision_stays_old(
        self, world: World, request: pytest.FixtureRequest
    ) -> None:
        world.carry(says(record(readings=STEPS)))
        newer = record(readings={"steps": 11.0}, stamp="2026-11-24T09:00:00+00:00")
        world.carry(says(newer))
        request.getfixturevalue("better_mapping")
        again(world)
        assert Reading.objects.get().value == 22
        assert len(sent()) == 3

    def test_parked_ones_get_another_chance(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> Understanding:
            raise KeyError("x")

        with monkeypatch.context() as patched:
            patched.setattr(Acme, "understand", broken)
            world.carry(says(record()))
        assert states() == {"parked": 1}
        again(world, status="parked", error_code="adapter_failed")
        assert states() == {"processed": 1}
        assert WebhookDelivery.objects.get().error == ""

    def test_it_is_audited_and_needs_a_reason(
        self, world: World, django_capture_on_commit_callbacks: Any
    ) -> None:
        delivery = world.carry(says(record()))
        with pytest.raises(ReasonMissingError):
            replay.replay(Selection(), actor="ada", reason=" ", now=world.now)
        assert states() == {"processed": 1}
        counted = replay.replay(
            Selection(), actor="ada", reason="to be sure", now=world.now
        )
        assert counted == {("acme", "processed"): 1}
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.reason) == ("ada", "to be sure")
        assert entry.target == "1 deliveries"
        delivery.refresh_from_db()
        assert delivery.status == "pending"


class TestSelection:
    def test_everything_given_must_hold(self, world: World) -> None:
        early = world.carry(says(record()))
        world.wait(hours=1)
        late = world.carry(says(record()), account="other")
        world.carry({"unreadable": "steps"})
        assert replay.count(Selection()) == {
            ("acme", "processed"): 2,
            ("acme", "parked"): 1,
        }

        def chosen(**arguments: Any) -> set[Any]:
            rows = Selection(**arguments).rows()
            return set(rows.values_list("id", flat=True))

        assert chosen(until=world.now) == {early.id}
        assert chosen(account_id="other") == {late.id}
        assert chosen(ids=[early.public_id]) == {early.id}
        assert chosen(vendor="terra") == set()
        assert len(chosen(error_code="unreadable")) == 1

    def test_what_waits_or_has_no_bytes_is_left_alone(self, world: World) -> None:
        world.store(says(record("due")))
        gone = world.store(says(record("gone")), status="processed")
        WebhookDelivery.objects.filter(id=gone.id).update(body=None)
        world.store(says(record()), status="erased")
        assert replay.count(Selection()) == {}


class TestPreview:
    def test_it_tells_what_would_change_and_writes_nothing(
        self, world: World, request: pytest.FixtureRequest
    ) -> None:
        world.carry(says(record("walk", readings=STEPS)))
        world.carry(says(record("rest", readings={"distance": 5.0})))
        world.carry({"unreadable": "steps"})
        request.getfixturevalue("better_mapping")
        before = (len(sent()), BiometricEvent.objects.count(), states())
        preview = replay.preview(Selection())
        assert preview.records == {
            ("acme", "sleep", "new"): 1,
            ("acme", "sleep", "unchanged"): 1,
        }
        assert preview.deliveries == {
            ("acme", "processed"): 2,
            ("acme", "unreadable"): 1,
        }
        assert preview.changed == 1
        assert (len(sent()), BiometricEvent.objects.count(), states()) == before


class TestCommand:
    def told(self, *arguments: str) -> str:
        out = StringIO()
        call_command("replay", *arguments, stdout=out)
        return " ".join(out.getvalue().split())

    def test_a_dry_run_counts_and_compares(self, world: World) -> None:
        world.carry(says(record()))
        told = self.told("--all", "--dry-run")
        assert "1 acme processed" in told
        assert "1 acme sleep: unchanged" in told
        assert "0 records would be stored" in told
        assert states() == {"processed": 1}

    def test_it_replays_with_a_reason(self, world: World) -> None:
        world.carry(says(record()))
        since = (world.now - timedelta(hours=1)).isoformat()
        told = self.told("--since", since, "--reason", "a better mapping")
        assert "due again" in told
        assert states() == {"pending": 1}

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((), "--all"),
            (("--all",), "--reason"),
            (("--since", "yesterday"), "yesterday"),
        ],
    )
    def test_what_is_missing_is_named(
        self, world: World, arguments: tuple[str, ...], named: str
    ) -> None:
        with pytest.raises(CommandError, match=named):
            self.told(*arguments)


_plain = Acme.understand

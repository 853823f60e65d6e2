"""What a replay would change is known before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from pytest_django.fixtures import Settings

from biometrics import erasure
from biometrics.audit import ReasonMissingError
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    ReplayRun,
    Subject,
    WebhookDelivery,
)
from biometrics.replay import runs
from biometrics.replay.comparing import NEW_RECORD, SIGNALS, Change, Preview
from biometrics.replay.runs import ReplayError
from biometrics.replay.selection import Selection
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery
from tests.pipeline import replaying
from tests.pipeline.acme import Acme
from tests.pipeline.replaying import finish, planned
from tests.pipeline.world import World, night, record, says, sent, states, value

better_mapping = replaying.better_mapping
nudged = replaying.nudged
pytestmark = pytest.mark.usefixtures("nudged")

STEPS = {"steps": 10.0}


class TestPlan:
    def test_it_tells_what_would_change_and_writes_nothing(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        walk = world.carry(says(record("walk", readings=STEPS)))
        world.carry(says(record("rest", readings={"distance": 5.0})))
        world.carry({"unreadable": "steps"})
        better_mapping()
        before = (len(sent()), BiometricEvent.objects.count(), states())
        run = planned(world)
        assert run.state == "planned"
        assert run.counted == [["acme", "parked", 1], ["acme", "processed", 2]]
        assert (run.planned, run.total) == (3, 3)
        found = Preview.from_json(run.plan)
        assert found.records == {
            ("acme", "sleep", "new"): 1,
            ("acme", "sleep", "unchanged"): 1,
        }
        assert found.deliveries == {
            ("acme", "processed"): 2,
            ("acme", "unreadable"): 1,
        }
        assert found.fields == {("acme", "sleep", "readings[steps].value"): 1}
        assert found.examples == [walk.id]
        assert found.changed == 1
        assert (len(sent()), BiometricEvent.objects.count(), states()) == before
        assert not AuditEntry.objects.exists()

    def test_a_confirmed_plan_is_done_and_audited(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        world.carry(says(record("walk", readings=STEPS)))
        better_mapping()
        run = planned(world)
        with pytest.raises(ReasonMissingError):
            runs.confirm(run.pk, actor="eva", reason="", now=world.now)
        runs.confirm(run.pk, actor="eva", reason="a better mapping", now=world.now)
        finish(world, run)
        assert (run.state, run.changed) == ("done", 1)
        assert value(sent()[-1])["readings"][0]["value"] == 20
        assert AuditEntry.objects.get().actor == "eva"
        with pytest.raises(ReplayError, match="done"):
            runs.confirm(run.pk, actor="eva", reason="twice", now=world.now)

    def test_when_the_count_moved_it_is_planned_and_asked_again(
        self, world: World
    ) -> None:
        world.carry(says(record("a")))
        gone = world.carry(says(record("b")))
        run = planned(world)
        WebhookDelivery.objects.filter(pk=gone.pk).update(body=None)
        with pytest.raises(ReplayError, match="confirm again"):
            runs.confirm(run.pk, actor="eva", reason="go", now=world.now)
        assert not AuditEntry.objects.exists()
        finish(world, run)
        assert (run.state, run.total, run.planned) == ("planned", 1, 1)
        runs.confirm(run.pk, actor="eva", reason="go", now=world.now)
        assert finish(world, run).done == 1

    def test_cancelling_hands_over_no_more(
        self, world: World, settings: Settings
    ) -> None:
        settings.REPLAY_PER_SECOND = 1
        for n in range(12):
            world.carry(says(record(f"r{n}")))
        run = runs.begin(Selection(), actor="ada", reason="again", now=world.now)
        runs.advance(now=world.clock, budget_s=1)
        runs.cancel(run.pk, actor="eva", reason="too slow", now=world.now)
        world.wait(seconds=60)
        runs.advance(now=world.clock, budget_s=1)
        world.run()
        run.refresh_from_db()
        assert (run.state, run.handed) == ("cancelled", 5)
        assert states() == {"processed": 12}
        entry = AuditEntry.objects.get(verb="replay.cancel")
        assert (entry.actor, entry.reason) == ("eva", "too slow")
        with pytest.raises(ReplayError, match="cancelled already"):
            runs.cancel(run.pk, actor="eva", reason="twice", now=world.now)

    def test_a_delivery_that_kills_its_worker_is_left_out(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(3):
            world.carry(says(record(f"r{n}")))
        bad = world.carry(says(record("bad")))
        last = world.carry(says(record("last")))
        before = Preview.add

        def add(self: Preview, rows: list[WebhookDelivery]) -> list[Change]:
            if bad.pk in {row.pk for row in rows}:
                raise SystemExit
            return before(self, rows)

        monkeypatch.setattr(Preview, "add", add)
        run = runs.plan(Selection(), actor="ada", now=world.now)
        deaths = 0
        while run.state == "planning" and deaths < 20:
            try:
                runs.advance(now=world.clock, budget_s=10)
            except SystemExit:
                deaths += 1
            run.refresh_from_db()
        assert (run.state, run.planned, run.planned_to) == ("planned", 5, last.pk)
        assert Preview.from_json(run.plan).deliveries == {
            ("acme", "processed"): 4,
            ("acme", "worker_killed"): 1,
        }
        assert deaths == 4

    def test_erasing_a_person_forgets_what_named_them(self, world: World) -> None:
        world.carry(says(record("a")))
        subject = Subject.objects.get()
        for selection in (
            Selection(subject=subject.id),
            Selection(vendor="acme", account_id="someone"),
            Selection(vendor="acme"),
        ):
            runs.plan(selection, actor="ada", now=world.now)
        erasure.erase_subject(
            subject_id=subject.id, actor="eva", reason="asked to", now=world.now
        )
        assert [run.selection for run in ReplayRun.objects.all()] == [
            {"vendor": "acme"}
        ]


class TestDifferences:
    def changes(self, world: World) -> list[Change]:
        rows = list(Selection().rows().order_by("id"))
        return Preview().add(rows)

    def test_each_field_is_named_with_both_sides(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        series = {
            "metric": "heart_rate",
            "start": "2026-11-24T00:00:00+00:00",
            "interval_s": 60.0,
            "values": [60.0] * 30,
        }
        world.carry(
            says(
                record(
                    "r",
                    readings={"steps": 10.0, "distance": 5.0},
                    series=[series],
                    zone="+00:00",
                    date="2026-11-23",
                    attributes={"kind": "long"},
                )
            )
        )
        before = Acme.understand

        def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
            said = before(self, delivery)
            (one,) = said.records
            (rate,) = one.series
            return replace(
                said,
                records=(
                    replace(
                        one,
                        readings=one.readings[:1],
                        series=(replace(rate, values=(61.0, *rate.values[1:])),),
                        local_date=date(2026, 11, 24),
                        attributes={"kind": "short"},
                    ),
                ),
            )

        monkeypatch.setattr(Acme, "understand", understand)
        (change,) = self.changes(world)
        assert change.subject == Subject.objects.get().id
        assert change.before == BiometricEvent.objects.get().id
        assert [(one.path, one.before, one.after) for one in change.fields] == [
            ("attributes.kind", "long", "short"),
            ("local_date", "2026-11-23", "2026-11-24"),
            ("readings[distance].unit", "m", None),
            ("readings[distance].value", "5", None),
            (
                "series[heart_rate].values",
                "30 values, 1 of them differ",
                "30 values, 1 of them differ",
            ),
        ]

    def test_a_record_that_was_not_known(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.carry(says(record("known")))
        before = Acme.understand

        def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
            said = before(self, delivery)
            more = replace(said.records[0], record_id="more")
            return replace(said, records=(*said.records, more))

        monkeypatch.setattr(Acme, "understand", understand)
        (change,) = self.changes(world)
        assert (change.record_id, change.before) == ("more", None)
        assert [one.path for one in change.fields] == [NEW_RECORD]

    def test_what_only_the_hrv_engine_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.carry(says(night("2026-11-24", 60.0)))
        before = Acme.understand

        def understand(self: Acme, delivery: StoredDelivery) -> Understanding:
            said = before(self, delivery)
            (one,) = said.records
            assert one.night is not None
            told = replace(one.night, value_ms=61.0)
            return replace(said, records=(replace(one, night=told),))

        monkeypatch.setattr(Acme, "understand", understand)
        (change,) = self.changes(world)
        assert [one.path for one in change.fields] == [SIGNALS]

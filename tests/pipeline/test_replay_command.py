"""``manage.py replay``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from biometrics.models import (
    AuditEntry,
    ReplayRun,
    Subject,
)
from tests.pipeline import replaying
from tests.pipeline.replaying import finish
from tests.pipeline.world import World, record, says, states

better_mapping = replaying.better_mapping
nudged = replaying.nudged
pytestmark = pytest.mark.usefixtures("nudged")

STEPS = {"steps": 10.0}


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
        assert not ReplayRun.objects.exists()

    def test_a_dry_run_names_what_differs_and_values_only_for_a_reason(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        world.carry(says(record("walk", readings={"steps": 47114711.0})))
        better_mapping()
        told = self.told("--all", "--dry-run")
        assert "acme sleep walk (delivery" in told
        assert "readings[steps].value" in told
        assert "1 acme sleep differ in readings[steps].value" in told
        assert "47114711" not in told
        assert not AuditEntry.objects.exists()
        with pytest.raises(CommandError, match="--reason"):
            self.told("--all", "--dry-run", "--show-values")
        told = self.told("--all", "--dry-run", "--show-values", "--reason", "to check")
        assert "readings[steps].value: 47114711 -> 94229422" in told
        assert AuditEntry.objects.get().verb == "values.reveal"

    def test_it_replays_with_a_reason_and_tells_how_far_it_is(
        self, world: World
    ) -> None:
        world.carry(says(record()))
        since = (world.now - timedelta(hours=1)).isoformat()
        subject = str(Subject.objects.get().id)
        told = self.told(
            *("--since", since, "--subject", subject),
            *("--reason", "a better mapping"),
        )
        run = ReplayRun.objects.get()
        assert told.startswith("1 acme processed 1 deliveries in all")
        assert f"manage.py replay --run {run.pk}" in told
        assert "0 of 1 deliveries read" in self.told("--run", str(run.pk))
        finish(world, run)
        told = self.told("--run", str(run.pk), "--follow")
        assert told == (
            f"Replay {run.pk} is done: 1 of 1 deliveries read (1 processed),"
            " 0 records changed."
        )

    def test_it_is_cancelled_with_a_reason(self, world: World) -> None:
        world.carry(says(record()))
        self.told("--all", "--reason", "a better mapping")
        number = str(ReplayRun.objects.get().pk)
        with pytest.raises(CommandError, match="--reason"):
            self.told("--cancel", number)
        assert "Cancelled" in self.told("--cancel", number, "--reason", "a mistake")
        assert ReplayRun.objects.get().state == "cancelled"

    def test_without_celery_drain_carries_it_out(
        self, world: World, better_mapping: Callable[[], None]
    ) -> None:
        world.carry(says(record(readings=STEPS)))
        better_mapping()
        self.told("--all", "--reason", "a better mapping")
        call_command("drain", "--step", "process", stdout=StringIO())
        run = ReplayRun.objects.get()
        assert (run.state, run.changed) == ("done", 1)

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((), "--all"),
            (("--all",), "--reason"),
            (("--since", "yesterday"), "yesterday"),
            (("--run", "47114711"), "47114711"),
            (("--cancel", "47114711", "--reason", "x"), "47114711"),
        ],
    )
    def test_what_is_missing_is_named(
        self, world: World, arguments: tuple[str, ...], named: str
    ) -> None:
        with pytest.raises(CommandError, match=named):
            self.told(*arguments)

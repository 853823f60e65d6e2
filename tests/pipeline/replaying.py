"""Replays in tests: carried out piece by piece, beside the pipeline, as workers would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from biometrics.models import ReplayRun
from biometrics.replay import runs
from biometrics.replay.selection import Selection
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery
from tests.pipeline.acme import Acme
from tests.pipeline.world import World


def finish(world: World, run: ReplayRun) -> ReplayRun:
    """Play beat and workers until nothing of the run is left to do."""
    for _ in range(200):
        runs.advance(now=world.clock, budget_s=10)
        world.run()
        world.wait(seconds=2)
        run.refresh_from_db()
        if not run.is_active:
            return run
    message = f"{run} is {run.state} after 200 rounds"
    raise AssertionError(message)


def planned(world: World, **selection: Any) -> ReplayRun:
    """Return a finished plan."""
    run = runs.plan(Selection(**selection), actor="ada", now=world.now)
    return finish(world, run)


def again(world: World, **selection: Any) -> ReplayRun:
    """Replay without a plan."""
    run = runs.begin(
        Selection(**selection), actor="ada", reason="a better mapping", now=world.now
    )
    return finish(world, run)


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    found: list[set[int]] = []
    monkeypatch.setattr("biometrics.nudges.nudge_processing", found.append)
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", found.append)
    return found


@pytest.fixture
def better_mapping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a way to let the vendor's mapping learn that its steps come in pairs."""
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

    def learn() -> None:
        monkeypatch.setattr(Acme, "understand", understand)
        monkeypatch.setattr(Acme, "mapping_version", 2)

    return learn

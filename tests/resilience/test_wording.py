"""Circuits in words."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from resilience import wording
from resilience.snapshot import Snapshot
from resilience.states import Mode, State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLOSED = Snapshot(
    name="kafka",
    state=State.CLOSED,
    mode=Mode.AUTO,
    since=NOW - timedelta(minutes=4),
    mode_since=NOW - timedelta(hours=5),
    retry_after=0.0,
    failures=0,
    failures_total=0,
    opens=0,
    epoch=1,
    reason="",
    mode_reason="",
    store_up=True,
)
OPEN = dataclasses.replace(
    CLOSED, state=State.OPEN, retry_after=38.2, reason="failures", failures=5
)


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        (CLOSED, "Closed for 4 min."),
        (
            dataclasses.replace(CLOSED, failures=2),
            "Closed for 4 min, 2 failures so far.",
        ),
        (OPEN, "Open for 4 min: too many failures; next probe in 38 s."),
        (
            dataclasses.replace(OPEN, retry_after=0.0),
            "Open for 4 min: too many failures; next probe with the next call.",
        ),
        (
            dataclasses.replace(OPEN, reason="429 for the application"),
            "Open for 4 min: 429 for the application; next probe in 38 s.",
        ),
        (
            dataclasses.replace(OPEN, state=State.HALF_OPEN),
            "Half open for 4 min: one call after another is tried.",
        ),
        (
            dataclasses.replace(OPEN, mode=Mode.FORCED_OPEN, mode_reason="moved"),
            "Forced open for 5 h (moved): every call is refused. "
            "The machine itself says: Open for 4 min: too many failures.",
        ),
        (
            dataclasses.replace(CLOSED, mode=Mode.DISABLED),
            "Switched off for 5 h: every call passes, uncounted. "
            "The machine itself says: Closed for 4 min.",
        ),
        (
            dataclasses.replace(CLOSED, mode=Mode.OBSERVE),
            "Only observing for 5 h: no call is refused. "
            "The machine itself says: Closed for 4 min.",
        ),
        (
            dataclasses.replace(CLOSED, store_up=False),
            "Closed for 4 min. The shared store is away: this is what this process "
            "thinks by itself.",
        ),
    ],
)
def test_a_circuit_in_one_sentence(snapshot: Snapshot, said: str) -> None:
    assert wording.sentence(snapshot, now=NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (45, "45 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_an_age_has_one_unit(seconds: float, said: str) -> None:
    assert wording.age(seconds) == said


def test_next_probe() -> None:
    assert wording.next_probe(CLOSED) == ""
    forced = dataclasses.replace(OPEN, mode=Mode.FORCED_OPEN)
    assert wording.next_probe(forced) == "when an operator says so"
    assert wording.next_probe(dataclasses.replace(OPEN, mode=Mode.DISABLED)) == ""

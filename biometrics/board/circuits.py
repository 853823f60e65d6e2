"""What each circuit does now, those in trouble first."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from biometrics.board.parts import Board, Cell, cell
from resilience import get_breaker
from resilience.control import known_names
from resilience.snapshot import Snapshot
from resilience.states import Mode
from resilience.wording import sentence

_PAGE = "admin:resilience_breakermode_detail"


def circuits(*, now: datetime) -> Board:
    """Tell of every circuit in words, and name those that refuse calls."""
    found = [get_breaker(name).snapshot() for name in known_names()]
    found.sort(key=lambda one: (not one.is_refusing, one.is_at_rest, one.name))
    return Board(
        numbers={
            "breakers_refusing": ", ".join(s.name for s in found if s.is_refusing)
        },
        tables={"breakers": [_row(one, now=now) for one in found]},
        charts={},
    )


def _row(one: Snapshot, *, now: datetime) -> list[Cell]:
    shown = one.state if one.mode is Mode.AUTO else one.mode
    tone = "bad" if one.is_refusing else "good" if one.is_at_rest else "warn"
    return [
        cell(one.name, href=reverse(_PAGE, args=[one.name])),
        cell(str(shown).replace("_", " "), tone=tone),
        cell(sentence(one, now=now)),
    ]

"""Deliveries per minute as a picture, with the same numbers as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from biometrics import selectors
from biometrics.board.parts import Board, cell
from biometrics.models.intake import IntakeOutcome

_MINUTES = 60
_COLOURS = ("#9333ea", "#0891b2", "#ca8a04", "#16a34a", "#64748b")
# What was not stored looks the same for every vendor: grey is harmless, red is not.
_NOT_STORED = {IntakeOutcome.DUPLICATE: "#9ca3af", IntakeOutcome.REJECTED: "#dc2626"}
OPTIONS: Final[Mapping[str, Any]] = {
    "animation": False,
    "maintainAspectRatio": False,
    "plugins": {
        "legend": {
            "display": True,
            "labels": {"boxHeight": 10, "boxWidth": 10, "color": "#808694"},
        }
    },
    "scales": {
        "x": {
            "stacked": True,
            "grid": {"display": False},
            "ticks": {"color": "#808694", "maxTicksLimit": 7, "maxRotation": 0},
        },
        "y": {
            "stacked": True,
            "beginAtZero": True,
            "grid": {},
            "ticks": {"color": "#808694", "precision": 0},
        },
    },
}


def traffic(*, now: datetime) -> Board:
    """Count the last hour, minute by minute; without deliveries there are no rows."""
    found = selectors.deliveries_per_minute(now=now, minutes=_MINUTES)
    newest = now.replace(second=0, microsecond=0)
    minutes = [newest - timedelta(minutes=ago) for ago in range(_MINUTES - 1, -1, -1)]
    vendors = sorted({vendor for vendor, _ in found})
    chart = {
        "labels": [f"{minute:%H:%M}" for minute in minutes],
        "datasets": [
            _bars(key, counts, minutes=minutes, vendors=vendors)
            for key, counts in found.items()
        ],
    }
    rows = [
        [
            cell(vendor),
            cell(outcome),
            cell(sum(counts.values())),
            cell(counts.get(newest - timedelta(minutes=1), 0)),
        ]
        for (vendor, outcome), counts in found.items()
    ]
    return Board(numbers={}, tables={"traffic": rows}, charts={"traffic": chart})


def _bars(
    key: tuple[str, str],
    counts: Mapping[datetime, int],
    *,
    minutes: Sequence[datetime],
    vendors: Sequence[str],
) -> dict[str, object]:
    vendor, outcome = key
    own = _COLOURS[vendors.index(vendor) % len(_COLOURS)]
    return {
        "label": f"{vendor} {outcome}",
        "data": [counts.get(minute, 0) for minute in minutes],
        "backgroundColor": _NOT_STORED.get(IntakeOutcome(outcome), own),
    }

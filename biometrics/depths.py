"""How many rows wait exactly, as beat counted last: what graphs and alerts need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from biometrics import selectors, snapshots

_NAME = "depths"


def count(*, now: datetime) -> Mapping[tuple[str, str], int]:
    """Count now by (queue, status), and keep it for those who ask within minutes."""
    found = selectors.depths()
    kept = {f"{queue} {status}": n for (queue, status), n in found.items()}
    snapshots.keep(_NAME, kept, now=now)
    return found


def recent() -> Mapping[tuple[str, str], int]:
    """Return the last count, at most three minutes old; counted now without beat."""
    kept = snapshots.latest(_NAME)
    if kept is None:
        return selectors.depths()
    found = {}
    for name, number in kept[1].items():
        queue, _, status = name.partition(" ")
        found[queue, status] = number
    return found

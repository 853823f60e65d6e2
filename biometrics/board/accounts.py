"""The loss ledger of the last day: its sums, and a row for each vendor."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from biometrics.board.parts import Board, Cell, cell
from biometrics.ledger import Balance, Line

_PAGE = "admin:biometrics_ledger"


def accounts(balance: Balance, *, at: datetime) -> Board:
    """Tell of a ledger that was counted at a moment."""
    total, page = balance.total, reverse(_PAGE)
    numbers = {
        "received": total.received,
        "duplicate": total.duplicate,
        "rejected": total.rejected,
        "stored": total.stored,
        "processed": total.count("processed"),
        "waiting": total.waiting,
        "parked": total.count("parked"),
        "published": balance.messages.get("published", 0),
        "held": balance.messages.get("parked", 0),
        "imbalance": balance.imbalance,
        "at": f"counted at {at:%H:%M:%S} UTC",
    }
    return Board(
        numbers={f"ledger_{key}": str(value) for key, value in numbers.items()},
        tables={"ledger": [_row(line, page=page) for line in balance.lines]},
        charts={},
    )


def _row(line: Line, *, page: str) -> list[Cell]:
    counted = [
        line.received,
        line.duplicate,
        line.rejected,
        line.stored,
        sum(line.announced.values()),
        line.count("processed"),
        line.count("ignored"),
        line.waiting,
        line.count("parked"),
        line.recovered,
        line.backfilled,
    ]
    tone = "bad" if line.imbalance else ""
    return [
        cell(line.vendor),
        *[cell(number) for number in counted],
        cell(line.imbalance, href=page, tone=tone),
    ]

"""What the dashboard shows and the live socket brings up to date, made in one place.

`whole` counts everything, which is dear enough to be done every two seconds at most;
`quick` has the numbers that change with each webhook. `for_viewer` leaves what somebody
may see.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from biometrics import balances, selectors, waiting
from biometrics.board.accounts import accounts
from biometrics.board.circuits import circuits
from biometrics.board.needs import needs
from biometrics.board.newest import newest
from biometrics.board.parts import Board, merged
from biometrics.board.summary import summary
from biometrics.board.traffic import traffic
from biometrics.ledger import Balance

__all__ = ["Board", "for_viewer", "quick", "whole"]

# What a key, or its first word, tells of, and who may see it.
_NEEDS = {
    "alarms": "biometrics.view_staffalarm",
    "alerts": "biometrics.view_hrvalert",
    "breakers": "resilience.view_breakermode",
    "delay": "biometrics.view_outboxmessage",
    "deliveries": "biometrics.view_webhookdelivery",
    "ledger": "biometrics.view_webhookdelivery",
    "outbox": "biometrics.view_outboxmessage",
    "parked_deliveries": "biometrics.view_webhookdelivery",
    "parked_messages": "biometrics.view_parkedqueue",
    "replay": "biometrics.view_replayrun",
    "traffic": "biometrics.view_webhookdelivery",
}


def quick(*, now: datetime) -> Board:
    """Return the numbers that change with each webhook."""
    numbers = selectors.dashboard_numbers(now=now)
    return Board(numbers=numbers, tables={}, charts={})


def whole(*, now: datetime, ledger: tuple[Balance, datetime] | None = None) -> Board:
    """Return everything; the ledger is the given one, else beat's last count if any."""
    counted = ledger or balances.kept()
    first = quick(now=now)
    opened = first["numbers"]["alarms_open"]
    parts = [
        *(first, traffic(now=now), circuits(now=now), needs(opened)),
        newest(),
    ]
    if counted is not None:
        balance, at = counted
        parts.append(accounts(balance, at=at))
    return merged(parts)


def for_viewer(board: Board, *, may: Callable[[str], bool]) -> Board:
    """Return those blocks that somebody may see, and the first sentence about them.

    `may` is asked for permissions by name. A board without circuits is not a whole one:
    it has no first sentence.
    """
    granted = {kind for kind, permission in _NEEDS.items() if may(permission)}

    def is_seen(key: str) -> bool:
        return key == "as_of" or not granted.isdisjoint({key, key.partition("_")[0]})

    numbers = {key: text for key, text in board["numbers"].items() if is_seen(key)}
    parked = [text for key, text in numbers.items() if key.startswith("parked_")]
    if parked:
        numbers["parked"] = waiting.total(parked)
    if "breakers_refusing" in board["numbers"]:
        numbers["summary"] = summary(numbers)
    return Board(
        numbers=numbers,
        tables={key: rows for key, rows in board["tables"].items() if is_seen(key)},
        charts={key: data for key, data in board["charts"].items() if is_seen(key)},
    )

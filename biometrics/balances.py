"""The ledger of the last day as it was counted last, at most three minutes ago."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from biometrics import ledger, snapshots
from biometrics.ledger import Balance, Line

HOURS = 24
# Another name with each change of what is kept: old and new processes share it for a while.
_NAME = "ledger-2"


def count(*, now: datetime) -> Balance:
    """Count the ledger now, and keep it for those who come next."""
    balance = ledger.balance(now=now, hours=HOURS)
    snapshots.keep(_NAME, _to_json(balance), now=now)
    return balance


def recent(*, now: datetime) -> tuple[Balance, datetime]:
    """Return the last count and its time; it is counted now where there is none."""
    return kept() or (count(now=now), now)


def kept() -> tuple[Balance, datetime] | None:
    """Return the last count and its time, None where there is none; nothing is counted."""
    found = snapshots.latest(_NAME)
    if found is None:
        return None
    at, value = found
    return _from_json(value), at


def _to_json(balance: Balance) -> dict[str, Any]:
    return {
        "since": balance.since.isoformat(),
        "until": balance.until.isoformat(),
        "hours": [
            [hour.isoformat(), asdict(line)]
            for (hour, _), line in balance.hours.items()
        ],
        "messages": dict(balance.messages),
        "silent_alerts": balance.silent_alerts,
        "silent_changes": balance.silent_changes,
    }


def _from_json(value: dict[str, Any]) -> Balance:
    return Balance(
        since=datetime.fromisoformat(value["since"]),
        until=datetime.fromisoformat(value["until"]),
        hours={
            (datetime.fromisoformat(hour), line["vendor"]): Line(**line)
            for hour, line in value["hours"]
        },
        messages=value["messages"],
        silent_alerts=value["silent_alerts"],
        # Code of before did not count them.
        silent_changes=value.get("silent_changes", 0),
    )

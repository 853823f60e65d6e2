"""The dashboard's first sentence: is anything lost or stuck, and who needs me?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WAITING = (
    ("alarms_open", "alarm", "alarms"),
    ("alerts_open", "open alert", "open alerts"),
    ("parked", "parked delivery or message", "parked deliveries and messages"),
    (
        "deliveries_unlinked",
        "delivery that waits for its account",
        "deliveries that wait for their account",
    ),
)


def summary(numbers: Mapping[str, str]) -> str:
    """Say it of those numbers that there are; of the others nothing is claimed."""
    lost = int(numbers.get("ledger_imbalance", 0))
    refusing = numbers.get("breakers_refusing", "")
    waiting = _waiting(numbers)
    told = []
    if lost:
        told.append(f"{lost} deliveries or messages cannot be accounted for.")
    elif "ledger_imbalance" in numbers:
        told.append("Nothing is lost.")
    if refusing:
        told.append(f"Calls are refused: {refusing}.")
    if waiting:
        told.append(f"For a person: {', '.join(waiting)}.")
    if not (lost or refusing or waiting):
        told.append(_quiet(numbers))
    return " ".join(part for part in told if part)


def _waiting(numbers: Mapping[str, str]) -> Sequence[str]:
    found = []
    for key, one, many in _WAITING:
        told = numbers.get(key, "0")
        if told != "0":
            found.append(f"{told} {one if told == '1' else many}")
    return found


def _quiet(numbers: Mapping[str, str]) -> str:
    told = []
    if any(key in numbers for key, _, _ in _WAITING):
        told.append("nothing waits for a person")
    if "breakers_refusing" in numbers:
        told.append("every circuit lets calls pass")
    return f"All quiet: {', '.join(told)}." if told else ""

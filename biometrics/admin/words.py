"""Numbers and durations as people say them."""

from __future__ import annotations

from datetime import timedelta

from biometrics.waiting import told

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def plural(number: int, one: str, many: str = "") -> str:
    """Return the number with its word; without `many` the word takes an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def counted(number: int, one: str, many: str) -> str:
    """Return a count that ends one beyond what is counted, with its word."""
    return f"{told(number)} {one if number == 1 else many}"


def lasted(took: timedelta) -> str:
    """Return a duration in at most two units: 310 ms, 4.2 s, 5 min 10 s, 3 h 5 min."""
    ms = round(took.total_seconds() * 1000)
    if ms < 1000:
        return f"{ms} ms"
    seconds = round(ms / 1000)
    if seconds < _MINUTE:
        return f"{ms / 1000:.1f} s"
    for unit, word, smaller, smaller_word in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit} {word}" + (
                f" {rest} {smaller_word}" if rest else ""
            )
    return f"{seconds} s"

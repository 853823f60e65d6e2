"""What of a push could not be used, counted: one problem for each place and reason."""

from __future__ import annotations

from collections import Counter

from biometrics.vendors.records import Problem

UNSUPPORTED = "no metric for it"

# A push can hold thousands of records that are wrong in thousands of ways; the first
# kinds tell enough.
_MOST_KINDS = 50
_LONGEST_FIELD = 120


class Tally:
    """Counts of (field, reason); never holds a value."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, field: str, reason: str) -> None:
        """Count one thing that could not be used."""
        key = (_short(field), reason)
        if key not in self._counts and len(self._counts) >= _MOST_KINDS:
            key = ("data", "further problems")
        self._counts[key] += 1

    def problems(self) -> tuple[Problem, ...]:
        """Return a problem for each kind, with its number where there were several."""
        return tuple(
            Problem(field=field, reason=reason if count == 1 else f"{reason} ({count})")
            for (field, reason), count in self._counts.items()
        )

    def first_error(self) -> tuple[str, str] | None:
        """Return the first thing that was wrong, not merely of a kind without metric."""
        found = (key for key in self._counts if key[1] != UNSUPPORTED)
        return next(found, None)


def _short(field: str) -> str:
    """Return the field as printable text: parts of it are what a phone sent."""
    shown = "".join(char if char.isprintable() else "?" for char in field)
    return shown[:_LONGEST_FIELD]

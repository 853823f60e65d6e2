"""PostgreSQL's text form of arrays: one parameter a column instead of one a value.

The driver quotes each element of a list by itself, and the server's parser reads one
string faster than a list of constants: `docs/performance.md`.
"""

from __future__ import annotations

from collections.abc import Sequence


def of_text(values: Sequence[str]) -> str:
    """Return a literal for text[], or for any array whose elements are read from text."""
    quoted = [
        value.replace("\\", "\\\\").replace('"', '\\"') if _is_special(value) else value
        for value in values
    ]
    return '{"' + '","'.join(quoted) + '"}' if values else "{}"


def of_bytes(values: Sequence[bytes]) -> str:
    """Return a literal for bytea[]."""
    return "{" + ",".join([rf'"\\x{value.hex()}"' for value in values]) + "}"


def of_integers(values: Sequence[int]) -> str:
    """Return a literal for any array of integers."""
    return "{" + ",".join(map(str, values)) + "}"


def _is_special(value: str) -> bool:
    return '"' in value or "\\" in value

"""PostgreSQL's text form of arrays: one parameter a column instead of one a value.

The driver quotes each element of a list by itself, and the server's parser reads one
string faster than a list of constants: `docs/performance.md`. `None` is NULL.
"""

from __future__ import annotations

from collections.abc import Iterable


def of_text(values: Iterable[str | None]) -> str:
    """Return a literal for text[], or for any array whose elements are read from text."""
    return _array(
        "NULL"
        if value is None
        else f'"{_escaped(value)}"'
        if "\\" in value or '"' in value
        else f'"{value}"'
        for value in values
    )


def of_bytes(values: Iterable[bytes | memoryview | None]) -> str:
    """Return a literal for bytea[]."""
    return _array(
        "NULL" if value is None else rf'"\\x{value.hex()}"' for value in values
    )


def of_plain(values: Iterable[object | None]) -> str:
    """Return a literal for values whose str() holds letters, digits, blanks, +-.: alone.

    Numbers, truth values, UUIDs, dates and times of day or of the world.
    """
    return _array("NULL" if value is None else f'"{value}"' for value in values)


def _array(elements: Iterable[str]) -> str:
    return f"{{{','.join(list(elements))}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')

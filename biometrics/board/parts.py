"""What the dashboard's blocks are made of: numbers, rows of cells, data of charts.

All of it goes through JSON, so that the page and the live socket show the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict


class Cell(TypedDict):
    """One cell of a table: its text, the page it leads to, and how it is meant.

    `href` is empty where nothing is behind it. `tone` is "", "bad", "warn" or "good".
    """

    text: str
    href: str
    tone: str


Rows = list[list[Cell]]


class Board(TypedDict):
    """Blocks by key; the first word of a key says what they tell of."""

    numbers: dict[str, str]
    tables: dict[str, Rows]
    charts: dict[str, dict[str, Any]]


def cell(text: object, *, href: str = "", tone: str = "") -> Cell:
    """Return a cell of a table."""
    return Cell(text=str(text), href=href, tone=tone)


def merged(parts: Sequence[Board]) -> Board:
    """Return one board that has the blocks of all of them."""
    whole = Board(numbers={}, tables={}, charts={})
    for part in parts:
        whole["numbers"] |= part["numbers"]
        whole["tables"] |= part["tables"]
        whole["charts"] |= part["charts"]
    return whole

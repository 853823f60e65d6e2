"""The queries on the way of the data, and whether the server walks a big table for one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

# Below this the planner may rightly prefer to read all of a table.
_BIG = 10_000
_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One query: where it was met, its text without values, and what the server does."""

    place: str
    query: str
    cost: float
    indexes: tuple[str, ...]
    walked: tuple[str, ...]


class HotQueries:
    """Keeps each different query of what runs inside `at`, with its first values."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str, Any]] = {}

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Keep the queries of what is done meanwhile on Django's connection."""

        def keep(
            execute: Callable[..., Any],
            sql: str,
            params: Any,
            many: bool,  # noqa: FBT001 - Django passes it so
            context: Mapping[str, Any],
        ) -> Any:
            if sql.lstrip().upper().startswith(_VERBS):
                self._seen.setdefault(_shape(sql), (place, sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(keep):
            yield

    def plans(self) -> list[Plan]:
        """Ask the server for the plan of each, as its statistics are now."""
        return [
            _explained(place, shape, sql, params)
            for shape, (place, sql, params) in self._seen.items()
        ]


def big_tables() -> set[str]:
    """Return the tables that no query on the way of the data may walk."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s",
            [_BIG],
        )
        return {name for (name,) in cursor.fetchall()}


def _explained(place: str, shape: str, sql: str, params: Any) -> Plan:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (whole,) = cursor.fetchone()[0]
    nodes = list(_nodes(whole["Plan"]))
    walked = {n["Relation Name"] for n in nodes if n["Node Type"] == "Seq Scan"}
    return Plan(
        place=place,
        query=shape,
        cost=float(whole["Plan"]["Total Cost"]),
        indexes=tuple(sorted({n["Index Name"] for n in nodes if "Index Name" in n})),
        walked=tuple(sorted(walked & big_tables())),
    )


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _shape(sql: str) -> str:
    """Return the query with lists of values made one, and without its columns."""
    text = re.sub(r"\((?:%s(?:::\w+)?,? ?)+\)", "(…)", " ".join(sql.split()))
    text = re.sub(r"\(…\)(?:, \(…\))+", "(…)", text)
    text = re.sub(r"SELECT (?!1 )(?:(?!SELECT).)*? FROM", "SELECT … FROM", text)
    return text.replace('"', "")

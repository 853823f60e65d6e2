"""How much waits, counted no further than a person reads.

While Kafka is away millions of rows can wait. A page, or a push to the live socket, that
says how many must not take the longer the more they are: each count ends one beyond MOST
and is then told as "10,000+". All numbers of a page come from one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

MOST = 10_000
# The shard that `first_of_shards` looks at; only its queries can be filtered by it.
EACH_SHARD = RawSQL("shards.shard", ())

_SHARDS = """
    WITH RECURSIVE shards(shard) AS (
        SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard + 1 < %s
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A statement that gives one number, or nothing."""

    sql: str
    values: tuple[Any, ...]


def up_to(rows: QuerySet[Any, Any], *, most: int = MOST) -> Number:
    """Count rows, no further than one beyond `most`.

    `rows` are ordered as an index that holds hardly any others: left to itself, the
    database may look for the first ones by walking a table in which they come last.
    """
    sql, values = rows[: most + 1].query.sql_with_params()
    return Number(sql=f"SELECT COUNT(*) FROM ({sql}) AS counted", values=values)  # noqa: S608 - what the ORM wrote


def value_of(rows: QuerySet[Any, Any]) -> Number:
    """Take the one column of the one row, or none, that `rows` give."""
    sql, values = rows.query.sql_with_params()
    return Number(sql=sql, values=values)


def first_of_shards(*queries: QuerySet[Any, Any]) -> Number:
    """Return the lowest of the ids with which a shard begins in one of the queries.

    Each is filtered by `shard=EACH_SHARD` and ordered as the index by which workers find
    their next row: a look into each shard costs as little as theirs.
    """
    parts: list[str] = []
    values: list[Any] = []
    for query in queries:
        sql, given = query.values("id")[:1].query.sql_with_params()
        parts.append(f"SELECT ({sql}) AS id FROM shards")  # noqa: S608 - what the ORM wrote
        values += given
    united = " UNION ALL ".join(parts)
    return Number(sql=f"SELECT MIN(id) FROM ({united}) AS firsts", values=tuple(values))  # noqa: S608 - what the ORM wrote


def ask(**numbers: Number) -> dict[str, int | None]:
    """Return all of them by name, in one statement."""
    if not numbers:
        return {}
    chosen = ", ".join(f"({number.sql})" for number in numbers.values())
    given = [value for number in numbers.values() for value in number.values]
    with connection.cursor() as cursor:
        cursor.execute(f"{_SHARDS} SELECT {chosen}", [settings.SHARDS, *given])
        (row,) = cursor.fetchall()
    return dict(zip(numbers, row, strict=True))


def count(rows: QuerySet[Any, Any], *, most: int = MOST) -> int:
    """Count one query alone, no further than one beyond `most`; see `up_to`."""
    return rows[: most + 1].count()


def told(number: int, *, most: int = MOST) -> str:
    """Write a count: what is beyond `most` is only known to be more."""
    return f"{most:,}+" if number > most else f"{number:,}"


def read(text: str) -> int:
    """Return the count that was told so; one beyond for "10,000+"."""
    return int(text.removesuffix("+").replace(",", "")) + text.endswith("+")


def total(texts: Sequence[str]) -> str:
    """Add up counts that were told."""
    return told(sum(read(text) for text in texts))

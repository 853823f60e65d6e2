"""Finding many rows by keys of several columns in one indexed query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL


def row_in(*, columns: Sequence[str], keys: Iterable[Sequence[int | str]]) -> RawSQL:
    """Return the condition that the columns together equal one of the keys.

    `columns` are column names of the query's own table. A product of single `IN` lists
    would make PostgreSQL probe the index for every combination of their values.
    """
    rows = [tuple(key) for key in keys]
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    one = f"({', '.join(['%s'] * len(columns))})"
    values = ", ".join([one] * len(rows))
    sql = f"({quoted}) IN (VALUES {values})"
    params = [value for row in rows for value in row]
    # Only column names of our own and placeholders are in the text.
    return RawSQL(sql, params, output_field=BooleanField())  # noqa: S611

"""Writing many rows in one statement, without a model object for each.

On PostgreSQL every column travels as one array; SQLite takes the rows one by one inside
the same statement. Callers give every column that has no default in the table itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import psycopg2
from django.db import connection
from django.db.models import (
    BinaryField,
    CharField,
    Field,
    ForeignKey,
    JSONField,
    Model,
    TextField,
)

from biometrics import array_literals

# Characters or bytes of a column.
_LARGE = 1024 * 1024


def insert(
    model: type[Model],
    *,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    replace_on: Sequence[str] = (),
) -> None:
    """Insert rows, given as values in the order of `columns` (fields' attribute names).

    With `replace_on` a row that has the same values there is overwritten; then no two
    of `rows` may have the same ones.
    """
    if not rows:
        return
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001
    used = [fields[name] for name in columns]
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
    into = f"INSERT INTO {table} ({_names(used)})"
    conflict = _conflict([fields[name] for name in replace_on], used)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{into} {_unnest(used)}{conflict}", _arrays(used, rows))
        else:
            marks = ", ".join(["%s"] * len(used))
            cursor.executemany(
                f"{into} VALUES ({marks}){conflict}",
                [_prepared(used, row) for row in rows],
            )


def update(
    model: type[Model], *, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Set `columns` of stored rows; each of `rows` is its primary key, then the values.

    A key that is not stored is passed over.
    """
    if not rows:
        return
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001
    key = model._meta.pk  # noqa: SLF001
    assert key is not None
    used = [fields[name] for name in columns]
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join(f"{_name(field)} = r.{_name(field)}" for field in used)
            aliases = _names([key, *used])
            # Only names of columns and types of our own models are in the text.
            cursor.execute(
                f"UPDATE {table} SET {changes}"  # noqa: S608
                f" FROM ({_unnest([key, *used])}) AS r({aliases})"
                f" WHERE {table}.{_name(key)} = r.{_name(key)}",
                _arrays([key, *used], rows),
            )
        else:
            changes = ", ".join(f"{_name(field)} = %s" for field in used)
            prepared = [_prepared([key, *used], row) for row in rows]
            cursor.executemany(
                f"UPDATE {table} SET {changes} WHERE {_name(key)} = %s",  # noqa: S608
                [[*values, pk] for pk, *values in prepared],
            )


def _names(fields: Sequence[Field[Any, Any]]) -> str:
    return ", ".join(_name(field) for field in fields)


def _name(field: Field[Any, Any]) -> str:
    assert field.column is not None  # a concrete field has one
    return connection.ops.quote_name(field.column)


def _conflict(
    keys: Sequence[Field[Any, Any]], fields: Sequence[Field[Any, Any]]
) -> str:
    if not keys:
        return ""
    quoted = [_name(field) for field in fields if field not in keys]
    changes = ", ".join(f"{name} = excluded.{name}" for name in quoted)
    return f" ON CONFLICT ({_names(keys)}) DO UPDATE SET {changes}"


def _unnest(fields: Sequence[Field[Any, Any]]) -> str:
    """Return the SELECT that turns arrays into rows, in the order of the arrays."""
    names = [f"c{number}" for number in range(len(fields))]
    arrays = ", ".join(f"%s::{_element_type(field)}[]" for field in fields)
    chosen = ", ".join(
        f"{name}::jsonb" if isinstance(field, JSONField) else name
        for name, field in zip(names, fields, strict=True)
    )
    aliases = ", ".join([*names, "position"])
    # Only names of columns and types of our own models are in the text.
    return (
        f"SELECT {chosen} FROM unnest({arrays}) WITH ORDINALITY AS r({aliases})"  # noqa: S608
        " ORDER BY position"
    )


def _element_type(field: Field[Any, Any]) -> str:
    kind = field.rel_db_type(connection) if field.is_relation else None
    kind = kind or field.db_type(connection) or "text"
    # A length would cut silently here; the column itself refuses.
    return "text" if kind == "jsonb" or kind.startswith("varchar") else kind


def _arrays(
    fields: Sequence[Field[Any, Any]], rows: Sequence[Sequence[Any]]
) -> list[str | list[Any]]:
    columns = zip(*rows, strict=True)
    return [
        _array(field, column) for field, column in zip(fields, columns, strict=True)
    ]


def _array(field: Field[Any, Any], column: Sequence[Any]) -> str | list[Any]:
    """Return a column's values as PostgreSQL reads them, by what the field holds.

    As one text where they are small. To quote megabytes in a text takes several copies
    of them; the driver quotes a list of few large values in one.
    """
    target = field.target_field if isinstance(field, ForeignKey) else field
    if isinstance(target, JSONField):
        texts = [None if v is None else orjson.dumps(v).decode() for v in column]
        return texts if _is_large(texts) else array_literals.of_text(texts)
    if isinstance(target, BinaryField):
        if _is_large(column):
            return [None if v is None else psycopg2.Binary(v) for v in column]
        return array_literals.of_bytes(column)
    if isinstance(target, (CharField, TextField)):
        return array_literals.of_text(column)
    return array_literals.of_plain(column)


def _is_large(values: Sequence[str | bytes | None]) -> bool:
    return sum(len(value) for value in values if value) > _LARGE


def _prepared(fields: Sequence[Field[Any, Any]], row: Sequence[Any]) -> list[Any]:
    return [
        field.get_db_prep_save(value, connection)
        for field, value in zip(fields, row, strict=True)
    ]

"""Which operations of a migration the code before it does not survive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# What disturbs neither statements of the old code nor the traffic. RunPython changes rows.
_HARMLESS = (
    migrations.AlterModelManagers,
    migrations.AlterModelOptions,
    migrations.CreateModel,
    migrations.RemoveConstraint,
    migrations.RemoveIndex,
    migrations.RunPython,
    RemoveIndexConcurrently,
    AddConstraintNotValid,
    ValidateConstraint,
)
# Of a field's arguments, those that the database does not know.
_UNSEEN = {
    *("blank", "choices", "default", "editable", "error_messages", "help_text"),
    *("limit_choices_to", "related_name", "validators", "verbose_name"),
}


def objections(migration: migrations.Migration, before: ProjectState) -> list[str]:
    """Return what must not run while the code of `before` serves; empty when all may."""
    state = before.clone()
    found: list[str] = []
    for operation in migration.operations:
        found += _objections(migration, operation, state)
        operation.state_forwards(migration.app_label, state)
    return [f"{migration.name}: {objection}" for objection in found]


def _objections(
    migration: migrations.Migration, operation: Operation, state: ProjectState
) -> Iterator[str]:
    what = operation.describe()
    if isinstance(operation, AddIndexConcurrently):
        if migration.atomic:
            yield f"{what}: needs atomic = False"
    elif isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _objections(migration, inner, state)
    elif isinstance(operation, _HARMLESS) or _is_of_new_table(migration, operation):
        return
    elif isinstance(operation, migrations.AddField):
        yield from _of_new_column(operation.field, what)
    elif isinstance(operation, migrations.AlterField):
        before = state.models[migration.app_label, operation.model_name_lower]
        yield from _of_change(before.fields[operation.name], operation.field, what)
    else:
        yield f"{what}: is not additive"


def _is_of_new_table(migration: migrations.Migration, operation: Operation) -> bool:
    name = getattr(operation, "model_name", None)
    made = {
        other.name.lower()
        for other in migration.operations
        if isinstance(other, migrations.CreateModel)
    }
    return name is not None and name.lower() in made


def _of_new_column(field: models.Field[Any, Any], what: str) -> Iterator[str]:
    # Django's own default is the new code's: the column keeps none of it.
    if not field.null and not field.has_db_default() and not field.many_to_many:
        yield f"{what}: NOT NULL without db_default, and the old code names no value"
    if field.unique or getattr(field, "db_index", False):
        yield f"{what}: its index locks the table; add it beside the traffic"


def _of_change(
    old: models.Field[Any, Any], new: models.Field[Any, Any], what: str
) -> Iterator[str]:
    (_, kind, _, before), (_, kind_after, _, after) = (
        old.deconstruct(),
        new.deconstruct(),
    )
    if kind != kind_after:
        yield f"{what}: another type"
        return
    for name in sorted({*before, *after} - _UNSEEN):
        was, becomes = before.get(name), after.get(name)
        widened = (
            name == "max_length"
            and was is not None
            and becomes is not None
            and becomes > was
        )
        if was != becomes and not widened and (name, becomes) != ("null", True):
            yield f"{what}: {name} was {was}, becomes {becomes}"

"""Migrations keep the code before them running."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from biometrics.migrations._beside import AddIndexBeside
from tests.auren.additive import objections
from tests.browser.seed import seed
from tests.databases import parameters_of

OURS = ("biometrics", "resilience")
# Made before there was a release whose code could run beside them.
BEFORE_ANY_RELEASE = {f"{number:04d}" for number in range(1, 16)}
_SEEDED = {
    *("Subject", "VendorConnection", "WebhookDelivery", "BiometricEvent", "Reading"),
    *("HrvNight", "HrvAlert", "OutboxMessage", "ParkedQueue", "IntakeCount"),
}


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None, ignore_no_migrations=True)


def state_before(loader: MigrationLoader, key: tuple[str, str]) -> ProjectState:
    """Return the models as the code before a migration knows them."""
    return loader.project_state(key, at_end=False)


def test_every_migration_is_additive(loader: MigrationLoader) -> None:
    found: list[str] = []
    for key in sorted(loader.disk_migrations):
        if key[0] in OURS and key[1][:4] not in BEFORE_ANY_RELEASE:
            migration = loader.disk_migrations[key]
            found += objections(migration, state_before(loader, key))
    assert found == []


def test_the_code_before_the_last_migration_goes_on(
    db: None, loader: MigrationLoader
) -> None:
    """Read, change, delete and insert rows as the old models do."""
    seed()
    (leaf,) = loader.graph.leaf_nodes("biometrics")
    old = state_before(loader, leaf).apps
    used = set()
    for model in old.get_app_config("biometrics").get_models():
        rows = model._base_manager.all()
        list(rows[:50])
        row = rows.first()
        if row is None:
            continue
        used.add(model.__name__)
        row.save(force_update=True)
        with transaction.atomic():
            # Foreign keys are looked at when the transaction ends.
            rows.filter(pk=row.pk)._raw_delete(rows.db)
            row.save(force_insert=True)
        current = apps.get_model("biometrics", model.__name__)
        assert current.objects.filter(pk=row.pk).exists()
    assert used >= _SEEDED


@pytest.mark.postgres
def test_every_constraint_holds_for_the_rows_of_before_too(
    migrated_postgres: str,
) -> None:
    """One that was added beside the traffic is to be validated after that."""
    with closing(psycopg2.connect(**parameters_of(migrated_postgres))) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
        assert cursor.fetchall() == []
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conname = 'delivery_origin_known'"
        )
        assert "announced" in cursor.fetchone()[0]


_INDEX = models.Index(fields=["label"], name="some_index")
REFUSED = [
    migrations.AddField("subject", "shoe_size", models.IntegerField(default=0)),
    migrations.AddField(
        "subject", "number", models.IntegerField(null=True, unique=True)
    ),
    migrations.AddField("subject", "nick", models.TextField(null=True, db_index=True)),
    migrations.RemoveField("subject", "label"),
    migrations.RenameField("subject", "label", "name"),
    migrations.AlterField("subject", "label", models.TextField()),
    migrations.RenameModel("subject", "person"),
    migrations.DeleteModel("reading"),
    migrations.AlterModelTable("subject", "people"),
    migrations.AddIndex("subject", _INDEX),
    AddIndexConcurrently("subject", _INDEX),
    migrations.AddConstraint(
        "subject", models.UniqueConstraint(fields=["label"], name="one_label")
    ),
    migrations.RunSQL("ALTER TABLE biometrics_subject DROP COLUMN label"),
    migrations.SeparateDatabaseAndState([migrations.RemoveField("subject", "label")]),
]
ALLOWED = [
    migrations.AddField("subject", "nick", models.TextField(null=True)),
    migrations.AddField("subject", "size", models.IntegerField(db_default=0)),
    migrations.CreateModel("shoe", [("id", models.BigAutoField(primary_key=True))]),
    migrations.RunPython(migrations.RunPython.noop),
]


@pytest.mark.parametrize("operation", REFUSED, ids=lambda one: one.describe())
def test_what_the_old_code_does_not_survive_is_refused(
    operation: Operation, loader: MigrationLoader
) -> None:
    assert len(objections(_migration([operation]), loader.project_state())) == 1


@pytest.mark.parametrize("operation", ALLOWED, ids=lambda one: one.describe())
def test_what_adds_may_run_beside_the_old_code(
    operation: Operation, loader: MigrationLoader
) -> None:
    assert objections(_migration([operation]), loader.project_state()) == []


def test_an_index_beside_the_traffic_may_run_outside_of_a_transaction(
    loader: MigrationLoader,
) -> None:
    migration = _migration([AddIndexBeside("subject", _INDEX)], atomic=False)
    assert objections(migration, loader.project_state()) == []


def _migration(
    operations: list[Operation], *, atomic: bool = True
) -> migrations.Migration:
    said = {"operations": operations, "atomic": atomic}
    kind: type[migrations.Migration] = type("Tried", (migrations.Migration,), said)
    return kind("0099_tried", "biometrics")

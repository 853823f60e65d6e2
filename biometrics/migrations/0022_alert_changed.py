"""Index when an alert changed: the ledger asks each minute for what changed lately."""

from __future__ import annotations

from django.db import migrations, models

from biometrics.migrations._beside import AddIndexBeside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0021_announced_rows")]

    operations = [
        AddIndexBeside(
            model_name="hrvalert",
            index=models.Index(fields=["updated_at"], name="alert_changed"),
        ),
    ]

"""Look at the rows of before, and index those that were announced with the fetched ones."""

from __future__ import annotations

from django.db import migrations, models

from biometrics.migrations._beside import (
    AddIndexBeside,
    RemoveIndexBeside,
    ValidateBeside,
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0020_announced")]

    operations = [
        ValidateBeside(model_name="webhookdelivery", name="delivery_origin_known"),
        AddIndexBeside(
            model_name="webhookdelivery",
            index=models.Index(
                fields=["origin", "-id"],
                name="delivery_not_pushed",
                condition=models.Q(origin__in=["announced", "backfill", "recovered"]),
            ),
        ),
        RemoveIndexBeside(model_name="webhookdelivery", name="delivery_fetched"),
    ]

"""An index for what a night is gathered from; built beside the traffic on PostgreSQL."""

from __future__ import annotations

from django.db import migrations, models

from biometrics.migrations._beside import AddIndexBeside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0013_console_indexes")]

    operations = [
        AddIndexBeside(
            model_name="biometricevent",
            index=models.Index(
                fields=["connection", "local_date"],
                name="event_night_pieces",
                condition=models.Q(
                    status="current", record_type__in=["sleep", "samples"]
                ),
            ),
        ),
    ]

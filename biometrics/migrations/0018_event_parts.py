"""Of how many messages an event consists, so that the ledger misses a lost one."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("biometrics", "0017_retention")]

    operations = [
        migrations.AddField(
            model_name="biometricevent",
            name="parts",
            field=models.SmallIntegerField(
                db_default=1, default=1, help_text="Of how many messages it consists."
            ),
        ),
    ]

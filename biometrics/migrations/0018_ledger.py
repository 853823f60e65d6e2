"""By what the ledger misses a lost part of an event, or a lost change of a connection."""

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
        migrations.CreateModel(
            name="ToldChange",
            fields=[
                ("ce_id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("subject", models.UUIDField(db_index=True)),
                ("vendor", models.CharField(max_length=32)),
                ("change", models.CharField(max_length=12)),
                ("at", models.DateTimeField(db_index=True)),
            ],
            options={"default_permissions": ()},
        ),
    ]

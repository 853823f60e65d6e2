"""Deliveries may lie at an address that a webhook named."""

from __future__ import annotations

from django.db import migrations, models

from biometrics.migrations._beside import AddConstraintBeside

_ORIGINS = ["webhook", "announced", "backfill", "recovered"]


class Migration(migrations.Migration):
    dependencies = [("biometrics", "0019_waiting")]

    operations = [
        migrations.AlterField(
            model_name="webhookdelivery",
            name="origin",
            field=models.CharField(
                choices=[(one, one.capitalize()) for one in _ORIGINS],
                default="webhook",
                max_length=12,
            ),
        ),
        migrations.RemoveConstraint(
            model_name="webhookdelivery", name="delivery_origin_known"
        ),
        AddConstraintBeside(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(origin__in=_ORIGINS), name="delivery_origin_known"
            ),
        ),
    ]

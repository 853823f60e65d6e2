"""Indexes by which staff count what waits; built beside the traffic on PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from biometrics.migrations._beside import AddIndexBeside


def _index(model_name: str, **index: Any) -> AddIndexBeside:
    return AddIndexBeside(model_name=model_name, index=models.Index(**index))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0018_ledger")]

    operations = [
        _index(
            "webhookdelivery",
            fields=["vendor", "error_code", "id"],
            name="delivery_parked_by",
            condition=models.Q(status="parked"),
        ),
        _index(
            "hrvalert",
            fields=["severity", "-raised_at"],
            name="alert_worst",
            condition=models.Q(status="open"),
        ),
        _index("parkedqueue", fields=["code", "since"], name="queue_by_code"),
    ]

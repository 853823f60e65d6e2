"""Indexes for what retention looks through; built beside the traffic on PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from biometrics.migrations._beside import AddIndexBeside


def _index(model_name: str, **index: Any) -> AddIndexBeside:
    return AddIndexBeside(model_name=model_name, index=models.Index(**index))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0016_subscription_token")]

    operations = [
        _index(
            "webhookdelivery",
            fields=["received_at"],
            name="delivery_kept",
            condition=models.Q(body__isnull=False),
        ),
        _index(
            "deliverydocument",
            fields=["fetched_at"],
            name="document_kept",
            condition=models.Q(body__isnull=False),
        ),
        _index(
            "outboxmessage",
            fields=["published_at"],
            name="message_kept",
            condition=models.Q(status="published", value__isnull=False),
        ),
        _index(
            "biometricevent",
            fields=["created_at"],
            name="event_kept",
            condition=~models.Q(data={}),
        ),
    ]

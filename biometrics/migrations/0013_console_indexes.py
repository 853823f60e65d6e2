"""Indexes for what staff ask of the lists; built beside the traffic on PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from biometrics.migrations._beside import AddIndexBeside


def _index(model_name: str, **index: Any) -> AddIndexBeside:
    return AddIndexBeside(model_name=model_name, index=models.Index(**index))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("biometrics", "0012_access")]

    operations = [
        _index(
            "webhookdelivery",
            fields=["status", "-id"],
            name="delivery_set_aside",
            condition=models.Q(status__in=["ignored", "erased"]),
        ),
        _index(
            "webhookdelivery",
            fields=["origin", "-id"],
            name="delivery_fetched",
            condition=models.Q(origin__in=["backfill", "recovered"]),
        ),
        _index(
            "biometricevent",
            fields=["-created_at"],
            name="event_deleted",
            condition=models.Q(action="deleted"),
        ),
        _index(
            "biometricevent",
            fields=["status", "-created_at"],
            name="event_not_current",
            condition=models.Q(status__in=["superseded", "stale"]),
        ),
        _index(
            "hrvnight",
            fields=["-night", "-id"],
            name="night_newest",
            condition=models.Q(is_main=True),
        ),
        _index(
            "hrvnight",
            fields=["severity", "-night", "-id"],
            name="night_alarming",
            condition=models.Q(
                is_main=True, severity__in=["MEDIUM", "HIGH", "CRITICAL"]
            ),
        ),
        _index("auditentry", fields=["verb", "-at"], name="audit_verb"),
        _index("auditentry", fields=["actor", "-at"], name="audit_actor"),
        _index("auditentry", fields=["target", "-at"], name="audit_target"),
    ]

"""The right to reveal health values, and the four roles that staff are given."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

OPERATOR = (
    "change_webhookdelivery",
    "change_outboxmessage",
    "change_parkedqueue",
    "change_subject",
    "change_vendorconnection",
    "operate_breaker",
)
CLINICIAN = ("change_hrvalert", "reveal_subject")


def make_groups(apps: Any, _schema_editor: Any) -> None:
    """Create viewer, operator, clinician and admin; an existing group stays as it is."""
    for config in apps.get_app_configs():
        # Django creates permissions after the last migration: too late for this one.
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    group_model = apps.get_model("auth", "Group")
    permissions = apps.get_model("auth", "Permission").objects
    ours = permissions.filter(content_type__app_label__in=("biometrics", "resilience"))
    viewing = ours.filter(codename__startswith="view_")
    staff = permissions.filter(
        content_type__app_label="auth", content_type__model__in=("user", "group")
    )
    granted = {
        "viewer": [viewing],
        "operator": [viewing, ours.filter(codename__in=OPERATOR)],
        "clinician": [viewing, ours.filter(codename__in=CLINICIAN)],
        "admin": [ours, staff],
    }
    for name, chosen in granted.items():
        group, is_new = group_model.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set([one for rows in chosen for one in rows])


class Migration(migrations.Migration):
    dependencies = [
        ("biometrics", "0001_initial"),
        ("resilience", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="subject",
            options={"permissions": [("reveal_subject", "Can reveal health values")]},
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]

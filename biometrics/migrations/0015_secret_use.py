"""Which signing secret proves what; every group may look at it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_everybody_look(apps: Any, _schema_editor: Any) -> None:
    config = apps.get_app_config("biometrics")
    # Django creates permissions after the last migration: too late for this one.
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    viewing = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="biometrics", codename="view_secretuse"
    )
    groups = apps.get_model("auth", "Group").objects
    for group in groups.filter(name__in=("viewer", "operator", "clinician", "admin")):
        group.permissions.add(*viewing)


class Migration(migrations.Migration):

    dependencies = [
        ('biometrics', '0014_night_pieces'),
    ]

    operations = [
        migrations.CreateModel(
            name='SecretUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('vendor', models.CharField(max_length=32)),
                ('slot', models.SmallIntegerField()),
                ('fingerprint', models.CharField(max_length=16)),
                ('since', models.DateTimeField()),
                ('counted_until', models.DateTimeField()),
                ('proven', models.BigIntegerField(default=0)),
                ('last_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'signing secret',
                'constraints': [models.UniqueConstraint(fields=('vendor', 'slot'), name='secret_use_once')],
            },
        ),
        migrations.RunPython(let_everybody_look, migrations.RunPython.noop),
    ]

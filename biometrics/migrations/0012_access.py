"""Links that were used, phones' sessions, subscriptions; and who may look at what."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


# Who is told of alerts, and where, was decided with those tables.
_NOT_EVERYBODY = ("view_alertsubscription", "view_alertnotice")


def let_everybody_look(apps: Any, _schema_editor: Any) -> None:
    """Let the four groups view the tables that came after the groups."""
    for config in apps.get_app_configs():
        # Django creates permissions after the last migration: too late for this one.
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    viewing = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label__in=("biometrics", "resilience"),
        codename__startswith="view_",
    ).exclude(codename__in=_NOT_EVERYBODY)
    groups = apps.get_model("auth", "Group").objects
    for group in groups.filter(name__in=("viewer", "operator", "clinician", "admin")):
        group.permissions.add(*viewing)


class Migration(migrations.Migration):

    dependencies = [
        ('biometrics', '0011_staff_notices'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsedLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('link_id', models.UUIDField(unique=True)),
                ('used_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='vendorconnection',
            name='backfill_left',
            field=models.JSONField(blank=True, default=list, editable=False, help_text='The data types that are still missing; empty: all are meant.'),
        ),
        migrations.CreateModel(
            name='PhoneSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('access_sha256', models.CharField(max_length=64, unique=True)),
                ('access_until', models.DateTimeField()),
                ('refresh_sha256', models.CharField(max_length=64, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('renewed_at', models.DateTimeField(blank=True, null=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sessions', to='biometrics.vendorconnection')),
            ],
        ),
        migrations.CreateModel(
            name='VendorSubscription',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('vendor', models.CharField(max_length=32)),
                ('event_type', models.CharField(max_length=40)),
                ('data_type', models.CharField(max_length=40)),
                ('remote_id', models.CharField(max_length=500)),
                ('callback_url', models.CharField(max_length=500)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('seen_at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('vendor', 'event_type', 'data_type'), name='vendor_subscription_once')],
            },
        ),
        migrations.RunPython(let_everybody_look, migrations.RunPython.noop),
    ]

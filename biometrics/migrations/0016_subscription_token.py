"""Which verification token a subscription holds; code of before leaves it empty."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('biometrics', '0015_secret_use'),
    ]

    operations = [
        migrations.AddField(
            model_name='vendorsubscription',
            name='token_fingerprint',
            field=models.CharField(blank=True, db_default='', default='', max_length=16),
        ),
    ]

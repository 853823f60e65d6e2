"""Which of a vendor's signing secrets still proves anything."""

from __future__ import annotations

from django.db import models


class SecretUse(models.Model):
    """One active secret of a vendor, by its place in the list of the settings, from 0.

    `fingerprint` tells one secret from another and reveals neither. The row starts anew
    when another secret takes the place: `since` says from when on `proven` counts the
    stored deliveries, `last_at` when the newest of them came.
    """

    vendor = models.CharField(max_length=32)
    slot = models.SmallIntegerField()
    fingerprint = models.CharField(max_length=16)
    since = models.DateTimeField()
    counted_until = models.DateTimeField()
    proven = models.BigIntegerField(default=0)
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "signing secret"
        constraints = [
            models.UniqueConstraint(fields=["vendor", "slot"], name="secret_use_once"),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} secret {self.slot}"

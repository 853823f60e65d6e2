"""What staff must see to: one row for each thing, until it is over."""

from __future__ import annotations

from django.db import models


class StaffAlarm(models.Model):
    """Something that needs a person; at most one open alarm for each (kind, key).

    `text` says what is wrong and what to do, without a measured value. It is cleared by
    what raised it, once that is well again.
    """

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200, blank=True)
    text = models.CharField(max_length=500)
    since = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=models.Q(cleared_at=None),
                name="alarm_open_once",
            ),
        ]
        indexes = [models.Index(fields=["-since"], name="alarm_since")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}".strip()

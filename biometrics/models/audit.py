"""Who looked at or did what, and why."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """One act of a person or command; `target` names what it was done to."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    verb = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["verb", "-at"], name="audit_verb"),
            models.Index(fields=["actor", "-at"], name="audit_actor"),
            models.Index(fields=["target", "-at"], name="audit_target"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"

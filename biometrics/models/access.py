"""How people and vendors are let in: links, phones' sessions, subscriptions."""

from __future__ import annotations

from django.db import models

from biometrics.models.people import VendorConnection


class UsedLink(models.Model):
    """A connect link that has connected somebody; it connects nobody else."""

    link_id = models.UUIDField(unique=True)
    used_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.link_id)


class PhoneSession(models.Model):
    """What an app on a person's phone calls with, until it renews it. Hashes only."""

    connection = models.ForeignKey(
        VendorConnection, on_delete=models.CASCADE, related_name="sessions"
    )
    access_sha256 = models.CharField(max_length=64, unique=True)
    access_until = models.DateTimeField()
    refresh_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    renewed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"session {self.pk}"


class VendorSubscription(models.Model):
    """A subscription of the application as the vendor last listed it."""

    vendor = models.CharField(max_length=32)
    event_type = models.CharField(max_length=40)
    data_type = models.CharField(max_length=40)
    remote_id = models.CharField(max_length=500)
    callback_url = models.CharField(max_length=500)
    expires_at = models.DateTimeField(null=True, blank=True)
    # Of the verification token that it was given; empty where that is not known.
    token_fingerprint = models.CharField(
        max_length=16, blank=True, default="", db_default=""
    )
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "event_type", "data_type"],
                name="vendor_subscription_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.data_type}.{self.event_type}"

"""Who wants to be told of an alert, and what each was told."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models

from biometrics.models.checks import one_of
from biometrics.models.hrv import HrvAlert, Severity


class Channel(models.TextChoices):
    """How somebody is told."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Signed webhook"


class NoticeStatus(models.TextChoices):
    """`dropped`: there was nothing left to tell when its time came."""

    DUE = "due"
    SENT = "sent"
    DROPPED = "dropped"
    GIVEN_UP = "given_up"


class AlertSubscription(models.Model):
    """Somebody who is told of alerts from `least` on, raised after they subscribed.

    Between `quiet_from` and `quiet_until`, hours of `zone`, nothing is sent; CRITICAL is,
    where `wakes_for_critical` says so. `secret` is encrypted like vendors' tokens.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="alert_subscriptions",
    )
    channel = models.CharField(max_length=8, choices=Channel.choices)
    address = models.CharField(max_length=500, help_text="E-mail address or URL.")
    secret = models.BinaryField(null=True, editable=False)
    least = models.CharField(
        max_length=8, choices=Severity.choices, default=Severity.HIGH
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    zone = models.CharField(max_length=64, default="UTC")
    wakes_for_critical = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=300, blank=True)

    class Meta:
        permissions = [("add_webhook", "Can have alerts sent to a webhook")]
        constraints = [
            one_of("channel", Channel, name="subscription_channel_known"),
            models.CheckConstraint(
                condition=models.Q(least__in=["HIGH", "CRITICAL"]),
                name="subscription_least_known",
            ),
            models.CheckConstraint(
                condition=models.Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="subscription_quiet_whole",
            ),
            models.UniqueConstraint(
                fields=["channel", "address"],
                condition=models.Q(ended_at=None),
                name="subscription_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.address}"


class AlertNotice(models.Model):
    """What one subscriber is told of one alert: there is at most one, ever.

    The id is what the receiver knows it by, the same in every attempt.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    alert = models.ForeignKey(
        HrvAlert, on_delete=models.CASCADE, related_name="notices"
    )
    subscription = models.ForeignKey(
        AlertSubscription, on_delete=models.CASCADE, related_name="notices"
    )
    status = models.CharField(
        max_length=8, choices=NoticeStatus.choices, default=NoticeStatus.DUE
    )
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            one_of("status", NoticeStatus, name="notice_status_known"),
            models.UniqueConstraint(
                fields=["alert", "subscription"], name="notice_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="notice_due",
                condition=models.Q(status=NoticeStatus.DUE),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.id}"

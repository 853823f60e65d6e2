"""What was said: events, and the readings that are true now."""

from __future__ import annotations

from django.db import models

from biometrics.models.checks import one_of
from biometrics.models.intake import WebhookDelivery
from biometrics.models.people import Subject, VendorConnection


class EventStatus(models.TextChoices):
    """`stale` events lost to a newer revision before they came; nothing was changed."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    STALE = "stale"


class EventAction(models.TextChoices):
    """What happened to the vendor's record."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class BiometricEvent(models.Model):
    """One thing that a delivery said about one vendor record, in catalogue units.

    The id is uuid5 of vendor, account, record, action, stamp and content: the same
    revision has the same id however often it comes. Where `zone_offset` is empty,
    `start` and `end` are the vendor's wall time marked as UTC.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.PROTECT, related_name="events"
    )
    connection = models.ForeignKey(
        VendorConnection, on_delete=models.CASCADE, related_name="events"
    )
    # Without an index of its own, like every key that another index begins with.
    subject = models.ForeignKey(
        Subject, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    vendor = models.CharField(max_length=32)
    record_type = models.CharField(max_length=40)
    record_id = models.CharField(max_length=200)
    action = models.CharField(max_length=8, choices=EventAction.choices)
    revision_stamp = models.DateTimeField()
    content_sha256 = models.CharField(max_length=64)
    mapping_version = models.SmallIntegerField()
    status = models.CharField(
        max_length=10, choices=EventStatus.choices, default=EventStatus.CURRENT
    )
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)
    zone_offset = models.CharField(max_length=6, blank=True)
    local_date = models.DateField(null=True, blank=True)
    data = models.JSONField(help_text="The record's value as published.")
    problems = models.JSONField(default=list, blank=True)
    # The default lies in the table for code that does not know the column.
    parts = models.SmallIntegerField(
        default=1, db_default=1, help_text="Of how many messages it consists."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            one_of("status", EventStatus, name="event_status_known"),
            one_of("action", EventAction, name="event_action_known"),
            # One revision of a record holds at a time.
            models.UniqueConstraint(
                fields=["connection", "record_type", "record_id"],
                condition=models.Q(status=EventStatus.CURRENT),
                name="event_current_once",
            ),
        ]
        indexes = [
            models.Index(fields=["subject", "-created_at"], name="event_subject"),
            models.Index(fields=["record_id"], name="event_record"),
            models.Index(fields=["-created_at"], name="event_created"),
            # What retention looks through; it empties itself.
            models.Index(
                fields=["created_at"], name="event_kept", condition=~models.Q(data={})
            ),
            # What a night is gathered from.
            models.Index(
                fields=["connection", "local_date"],
                name="event_night_pieces",
                condition=models.Q(
                    status=EventStatus.CURRENT, record_type__in=["sleep", "samples"]
                ),
            ),
            models.Index(
                fields=["-created_at"],
                name="event_deleted",
                condition=models.Q(action=EventAction.DELETED),
            ),
            models.Index(
                fields=["status", "-created_at"],
                name="event_not_current",
                condition=models.Q(status__in=["superseded", "stale"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.record_type} {self.action}"


class Reading(models.Model):
    """The current value of one metric of one vendor record.

    The database does not check its three references again for each of an event's many
    readings, which took half of the server's time: they are written with their event,
    in one statement and from it, and deleting is Django's.
    """

    event = models.ForeignKey(
        BiometricEvent,
        on_delete=models.CASCADE,
        related_name="readings",
        db_constraint=False,
    )
    connection = models.ForeignKey(
        VendorConnection,
        on_delete=models.CASCADE,
        db_index=False,
        db_constraint=False,
    )
    subject = models.ForeignKey(
        Subject,
        on_delete=models.CASCADE,
        related_name="readings",
        db_index=False,
        db_constraint=False,
    )
    record_type = models.CharField(max_length=40)
    record_id = models.CharField(max_length=200)
    metric = models.CharField(max_length=60)
    context = models.CharField(max_length=40, blank=True)
    value = models.FloatField()
    unit = models.CharField(max_length=20, help_text="UCUM code.")
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)
    zone_offset = models.CharField(max_length=6, blank=True)
    local_date = models.DateField(null=True, blank=True)
    revision_stamp = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "record_type", "record_id", "metric", "context"],
                name="reading_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["subject", "metric", "-local_date"],
                name="reading_subject_metric",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.record_type}"

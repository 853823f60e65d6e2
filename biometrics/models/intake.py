"""What came in: one row per authenticated request, as received."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from biometrics.models.checks import one_of


class DeliveryStatus(models.TextChoices):
    """`pending` and `retrying` are due work; the rest is at rest."""

    PENDING = "pending"
    RETRYING = "retrying"
    UNLINKED = "unlinked"
    PROCESSED = "processed"
    IGNORED = "ignored"
    PARKED = "parked"
    ERASED = "erased"


DUE_DELIVERY = Q(status__in=[DeliveryStatus.PENDING, DeliveryStatus.RETRYING])


class DeliveryOrigin(models.TextChoices):
    """How the bridge came by it.

    `announced` lay at the address that a webhook named in its place, and counts from the
    webhook's arrival; the last two nobody told us of.
    """

    WEBHOOK = "webhook"
    ANNOUNCED = "announced"
    BACKFILL = "backfill"
    RECOVERED = "recovered"


class WebhookDelivery(models.Model):
    """One authenticated HTTP request: the bytes, and what has become of them.

    `public_id` is uuid5 of vendor and dedupe key, so a duplicate is answered with the
    same id. `body` is None after retention. `error_code` is a short word for grouping,
    `error` a sentence with the next step; neither holds a measured value.
    """

    public_id = models.UUIDField(unique=True, editable=False)
    vendor = models.CharField(max_length=32)
    account_id = models.CharField(max_length=200, blank=True)
    reference = models.CharField(max_length=200, blank=True)
    event_type = models.CharField(max_length=80, blank=True)
    dedupe_key = models.CharField(max_length=400)
    shard = models.SmallIntegerField()
    origin = models.CharField(
        max_length=12, choices=DeliveryOrigin.choices, default=DeliveryOrigin.WEBHOOK
    )
    body = models.BinaryField(null=True, editable=False)
    headers = models.JSONField(default=dict, blank=True)
    traceparent = models.CharField(max_length=64, blank=True)
    trace = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The vendor's trace id, or the id of the record it speaks of.",
    )
    secret_slot = models.SmallIntegerField(default=0)
    received_at = models.DateTimeField()
    status = models.CharField(
        max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING
    )
    attempts = models.SmallIntegerField(default=0)
    # The default lies in the table, since intake names only the columns that it knows.
    unfinished = models.SmallIntegerField(
        default=0,
        db_default=0,
        help_text="How often work on it began without an end: its worker died.",
    )
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error = models.CharField(max_length=500, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "dedupe_key"], name="delivery_once"
            ),
            one_of("status", DeliveryStatus, name="delivery_status_known"),
            one_of("origin", DeliveryOrigin, name="delivery_origin_known"),
        ]
        indexes = [
            models.Index(
                fields=["shard", "id"], name="delivery_due", condition=DUE_DELIVERY
            ),
            models.Index(
                fields=["vendor", "account_id"],
                name="delivery_unlinked",
                condition=Q(status=DeliveryStatus.UNLINKED),
            ),
            models.Index(
                fields=["error_code", "id"],
                name="delivery_parked",
                condition=Q(status=DeliveryStatus.PARKED),
            ),
            models.Index(
                fields=["vendor", "error_code", "id"],
                name="delivery_parked_by",
                condition=Q(status=DeliveryStatus.PARKED),
            ),
            # Few rows that staff ask for by the newest: the key of the table leads past
            # all the others to them.
            models.Index(
                fields=["status", "-id"],
                name="delivery_set_aside",
                condition=Q(status__in=["ignored", "erased"]),
            ),
            models.Index(
                fields=["origin", "-id"],
                name="delivery_not_pushed",
                condition=Q(origin__in=["announced", "backfill", "recovered"]),
            ),
            models.Index(fields=["received_at"], name="delivery_received"),
            # What retention looks through; it empties itself.
            models.Index(
                fields=["received_at"],
                name="delivery_kept",
                condition=Q(body__isnull=False),
            ),
            models.Index(
                fields=["trace"], name="delivery_trace", condition=~Q(trace="")
            ),
            # Searched by its beginning: version and trace id.
            models.Index(
                fields=["traceparent"],
                name="delivery_traceparent",
                condition=~Q(traceparent=""),
                opclasses=["varchar_pattern_ops"],
            ),
            models.Index(
                fields=["vendor", "account_id", "-id"], name="delivery_account"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.public_id}"


class DeliveryDocument(models.Model):
    """What enrichment fetched for a delivery; replay reads it instead of the network."""

    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.CASCADE, related_name="documents"
    )
    url = models.CharField(max_length=500)
    status = models.SmallIntegerField()
    body = models.BinaryField(null=True, editable=False)
    fetched_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["fetched_at"],
                name="document_kept",
                condition=Q(body__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.url}"


class IntakeOutcome(models.TextChoices):
    """What intake answered; `stored` includes ignored and malformed deliveries."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class IntakeCount(models.Model):
    """How many requests had which outcome: one half of the loss ledger.

    Written in the same statement as the rows that it counts, keyed by process so that
    processes do not wait for each other; `process` is empty once rolled up to the hour.
    """

    process = models.CharField(max_length=60, blank=True)
    period = models.DateTimeField(
        help_text="Start of the minute, or hour if rolled up."
    )
    vendor = models.CharField(max_length=32)
    outcome = models.CharField(max_length=12, choices=IntakeOutcome.choices)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["process", "period", "vendor", "outcome"], name="count_once"
            ),
            one_of("outcome", IntakeOutcome, name="count_outcome_known"),
        ]
        indexes = [models.Index(fields=["period"], name="count_period")]

    def __str__(self) -> str:
        return f"{self.vendor} {self.outcome} {self.count}"

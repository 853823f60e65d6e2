"""The engine's verdicts per night, and the alerts that followed."""

from __future__ import annotations

from django.db import models

from biometrics.models.checks import one_of
from biometrics.models.events import BiometricEvent
from biometrics.models.people import Subject


class Severity(models.TextChoices):
    """From nothing to do to somebody should look now."""

    NORMAL = "NORMAL"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class AlertStatus(models.TextChoices):
    """`open` and `acknowledged` hold; the others are over."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RETRACTED = "retracted"
    RESOLVED = "resolved"


class Feedback(models.TextChoices):
    """What staff found when they looked after an alert."""

    USEFUL = "useful", "Useful: worth having looked"
    EXPLAINED = "explained", "Explained: there is a known, harmless cause"
    NO_IDEA = "no_idea", "No idea: nothing was found"


class HrvTuning(models.Model):
    """What staff decided for one person: how low is low, and silence until a date.

    `threshold_offset` lowers every personal threshold by so many own SDs. Up to and
    including `muted_until` (the date where the person is) nothing is raised; nights are
    judged and shown all the same.
    """

    subject = models.OneToOneField(
        Subject, on_delete=models.CASCADE, primary_key=True, related_name="hrv_tuning"
    )
    threshold_offset = models.FloatField(default=0.0)
    muted_until = models.DateField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, help_text="For the offset.")
    muted_because = models.CharField(max_length=300, blank=True)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = "HRV tuning"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(threshold_offset__gte=0), name="tuning_offset_known"
            ),
        ]

    def __str__(self) -> str:
        return f"offset {self.threshold_offset:g}"


class HrvNight(models.Model):
    """What one night said, and how it was judged with the nights before it.

    `night` is the local date of waking; `series_id` is kind:vendor:device class. Values
    that were missing or not plausible are None. A date can have several sleeps: one row
    for each `record_id`, of which `is_main` speaks for the night and alone is judged.
    The others are kept, since the main one may be deleted or become the shorter one.
    `verdict` holds the engine's output.
    """

    subject = models.ForeignKey(
        Subject, on_delete=models.CASCADE, related_name="hrv_nights", db_index=False
    )
    series_id = models.CharField(max_length=80)
    kind = models.CharField(max_length=8)
    night = models.DateField()
    event = models.ForeignKey(
        BiometricEvent, null=True, on_delete=models.SET_NULL, related_name="hrv_nights"
    )
    record_id = models.CharField(max_length=200, blank=True)
    is_main = models.BooleanField(default=True, db_default=True)
    sleep_s = models.FloatField(null=True, blank=True)
    value_ms = models.FloatField(null=True, blank=True)
    rhr_bpm = models.FloatField(null=True, blank=True)
    rr_brpm = models.FloatField(null=True, blank=True)
    temp_c = models.FloatField(null=True, blank=True)
    revision_stamp = models.DateTimeField()
    severity = models.CharField(
        max_length=8, choices=Severity.choices, default=Severity.NORMAL
    )
    verdict = models.JSONField(default=dict, blank=True)
    z1 = models.FloatField(
        null=True, blank=True, help_text="The verdict's, for counting over everybody."
    )
    ruleset = models.CharField(max_length=40, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "HRV night"
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "series_id", "night", "record_id"],
                name="night_sleep_once",
            ),
            models.UniqueConstraint(
                fields=["subject", "series_id", "night"],
                condition=models.Q(is_main=True),
                name="night_main_once",
            ),
            one_of("severity", Severity, name="night_severity_known"),
        ]
        indexes = [
            models.Index(
                fields=["night", "z1"],
                name="night_counted",
                condition=models.Q(is_main=True, value_ms__isnull=False),
            ),
            models.Index(
                fields=["-night", "-id"],
                name="night_newest",
                condition=models.Q(is_main=True),
            ),
            models.Index(
                fields=["severity", "-night", "-id"],
                name="night_alarming",
                condition=models.Q(
                    is_main=True, severity__in=["MEDIUM", "HIGH", "CRITICAL"]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.night}"


class HrvAlert(models.Model):
    """One alert per person, metric family and night, with the evidence for it.

    The id is uuid5 of those three; consumers are idempotent on (id, revision).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    subject = models.ForeignKey(
        Subject, on_delete=models.CASCADE, related_name="hrv_alerts", db_index=False
    )
    hrv_night = models.ForeignKey(
        HrvNight, null=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    metric_family = models.CharField(max_length=20, default="hrv")
    night = models.DateField()
    series_id = models.CharField(max_length=80)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    max_severity = models.CharField(max_length=8, choices=Severity.choices)
    status = models.CharField(
        max_length=12, choices=AlertStatus.choices, default=AlertStatus.OPEN
    )
    revision = models.SmallIntegerField(default=1)
    reasons = models.JSONField(default=list)
    evidence = models.JSONField(default=dict)
    message = models.CharField(max_length=800)
    ruleset = models.CharField(max_length=40)
    raised_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    feedback = models.CharField(max_length=20, choices=Feedback.choices, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "HRV alert"
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "metric_family", "night"], name="alert_once"
            ),
            one_of("severity", Severity, name="alert_severity_known"),
            one_of("max_severity", Severity, name="alert_max_severity_known"),
            one_of("status", AlertStatus, name="alert_status_known"),
        ]
        indexes = [
            models.Index(
                fields=["-raised_at"],
                name="alert_open",
                condition=models.Q(status=AlertStatus.OPEN),
            ),
            models.Index(
                fields=["severity", "-raised_at"],
                name="alert_worst",
                condition=models.Q(status=AlertStatus.OPEN),
            ),
            models.Index(fields=["-raised_at"], name="alert_raised"),
            # The ledger asks each minute for what changed of late.
            models.Index(fields=["updated_at"], name="alert_changed"),
        ]

    def __str__(self) -> str:
        return f"{self.severity} {self.night}"

"""What must reach Kafka, and who is carrying it there. See docs/publishing.md."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.db.models import Q

from biometrics.models.checks import one_of
from biometrics.models.events import BiometricEvent
from biometrics.models.hrv import HrvAlert


class MessageStatus(models.TextChoices):
    """`dead` is only what an operator skipped, with a reason."""

    PENDING = "pending"
    IN_BATCH = "in_batch"
    PUBLISHED = "published"
    PARKED = "parked"
    DEAD = "dead"


class Priority(models.IntegerChoices):
    """Higher leaves first; a person's whole queue is lifted together."""

    NORMAL = 0
    MEDIUM = 1
    HIGH = 2


class BatchState(models.TextChoices):
    """`void`: its transaction never committed; the number is not used again."""

    OPEN = "open"
    PUBLISHED = "published"
    VOID = "void"


class ParkCode(models.TextChoices):
    """Why a person's messages wait: for grouping, and for what to do about it."""

    TOO_LARGE = "too_large"
    BAD_TOPIC = "bad_topic"
    INVALID = "invalid"
    REFUSED = "refused"
    HELD_BACK = "held_back"


class PublishBatch(models.Model):
    """What one Kafka transaction holds; the shard's progress names its number."""

    shard = models.SmallIntegerField()
    seq = models.BigIntegerField()
    state = models.CharField(
        max_length=10, choices=BatchState.choices, default=BatchState.OPEN
    )
    holder = models.CharField(max_length=120)
    size = models.IntegerField(default=0)
    refused = models.CharField(
        max_length=500, blank=True, help_text="Why the broker refused one of its rows."
    )
    refused_code = models.CharField(max_length=12, blank=True, editable=False)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "publish batches"
        constraints = [
            models.UniqueConstraint(fields=["shard", "seq"], name="batch_once"),
            models.UniqueConstraint(
                fields=["shard"],
                condition=Q(state=BatchState.OPEN),
                name="batch_one_open",
            ),
            one_of("state", BatchState, name="batch_state_known"),
        ]

    def __str__(self) -> str:
        return f"shard {self.shard} batch {self.seq}"


class OutboxMessage(models.Model):
    """One message to Kafka: `ce_id` is its identity for consumers.

    `headers` maps header name to text. Ids rise in the order in which a person's
    messages must appear on a topic. `probe` marks rows of a refused batch that are
    being tried in halves.
    """

    ce_id = models.UUIDField(unique=True)
    shard = models.SmallIntegerField()
    subject = models.UUIDField(help_text="The record's key.")
    topic = models.CharField(max_length=120)
    event_type = models.CharField(max_length=120)
    headers = models.JSONField()
    value = models.BinaryField(null=True, editable=False)
    priority = models.SmallIntegerField(
        choices=Priority.choices, default=Priority.NORMAL
    )
    status = models.CharField(
        max_length=10, choices=MessageStatus.choices, default=MessageStatus.PENDING
    )
    probe = models.BooleanField(default=False)
    attempts = models.SmallIntegerField(default=0)
    batch = models.ForeignKey(
        PublishBatch, null=True, on_delete=models.SET_NULL, related_name="messages"
    )
    event = models.ForeignKey(
        BiometricEvent, null=True, on_delete=models.SET_NULL, related_name="messages"
    )
    alert = models.ForeignKey(
        HrvAlert, null=True, on_delete=models.SET_NULL, related_name="messages"
    )
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    kafka_partition = models.IntegerField(null=True, blank=True)
    kafka_offset = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            one_of("status", MessageStatus, name="message_status_known"),
        ]
        indexes = [
            models.Index(
                fields=["shard", "-priority", "id"],
                name="message_pending",
                condition=Q(status=MessageStatus.PENDING),
            ),
            models.Index(
                fields=["shard", "id"],
                name="message_probe",
                condition=Q(probe=True),
            ),
            models.Index(
                fields=["subject", "id"],
                name="message_unpublished",
                condition=Q(status__in=["pending", "in_batch", "parked"]),
            ),
            models.Index(
                fields=["id"],
                name="message_parked",
                condition=Q(status=MessageStatus.PARKED),
            ),
            models.Index(fields=["subject", "-id"], name="message_subject"),
            models.Index(
                fields=["published_at"],
                name="message_published",
                condition=Q(status=MessageStatus.PUBLISHED),
            ),
            models.Index(
                fields=["published_at"],
                name="message_kept",
                condition=Q(status=MessageStatus.PUBLISHED, value__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.ce_id}"


class LeaseStep(models.TextChoices):
    """The two kinds of work on a shard; each has its own lease."""

    PROCESS = "process"
    PUBLISH = "publish"


class ShardLease(models.Model):
    """Who works on a shard, until when, and under which producer it last published.

    Every write of a holder first updates this row where the token is still its own.
    """

    step = models.CharField(max_length=8, choices=LeaseStep.choices)
    shard = models.SmallIntegerField()
    token = models.BigIntegerField(default=0)
    until = models.DateTimeField()
    holder = models.CharField(
        max_length=120, blank=True, help_text="Transactional id last published under."
    )
    is_clean = models.BooleanField(default=True)
    next_seq = models.BigIntegerField(default=1)
    published_seq = models.BigIntegerField(
        default=0, help_text="Newest batch whose progress is in Kafka; 0 before one."
    )
    progress_at = models.DateTimeField(
        null=True, blank=True, help_text="When progress was last committed to Kafka."
    )
    alarm = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "shard"], name="lease_once"),
            one_of("step", LeaseStep, name="lease_step_known"),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.shard}"


class ParkedQueue(models.Model):
    """A person whose messages wait from `from_id` on, until somebody decides."""

    subject = models.UUIDField(unique=True)
    shard = models.SmallIntegerField()
    from_id = models.BigIntegerField()
    code = models.CharField(
        max_length=12, choices=ParkCode.choices, default=ParkCode.REFUSED
    )
    reason = models.CharField(max_length=500)
    since = models.DateTimeField()

    class Meta:
        constraints = [one_of("code", ParkCode, name="queue_code_known")]
        indexes = [models.Index(fields=["code", "since"], name="queue_by_code")]

    def __str__(self) -> str:
        return f"{self.subject} from {self.from_id}"


class BridgeIdentity(models.Model):
    """This database's own id (one row): tells a restored database from the real one."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    database_id = models.UUIDField(default=uuid4, editable=False)
    shards = models.IntegerField(help_text="What SHARDS was when work was stored.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="identity_one_row"),
        ]

    def __str__(self) -> str:
        return str(self.database_id)

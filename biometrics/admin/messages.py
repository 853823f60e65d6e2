"""What goes to Kafka: messages, and who carries them."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from biometrics.admin import labels
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import PublishedFilter
from biometrics.admin.reveal import MASK, HidingAdmin
from biometrics.admin.shown import (
    NOTHING,
    link,
    list_link,
    moment,
    once,
    pretty,
    pretty_bytes,
    trail_link,
)
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    PublishBatch,
    ShardLease,
    Subject,
)
from biometrics.models.outbox import BatchState
from biometrics.trails import delivery_of

# Headers that say how the value was judged; the priority follows from the severity.
_JUDGED = frozenset({"severity", "priority", "has_triggers", "triggers"})

# What the table holds for a shard that nobody took yet lies before.
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(HidingAdmin[OutboxMessage]):
    """One message to Kafka and where it stands."""

    nothing_yet = (
        "Nothing was to be told to Kafka yet. Deliveries shows what came in, and each one "
        "says what became of it."
    )
    health_fields = ("record_value",)
    without_values = MappingProxyType({"record_headers": "other_headers"})
    of_others = {
        "its_event": BiometricEvent,
        "its_alert": HrvAlert,
        "its_batch": PublishBatch,
    }

    list_display = ("created", "topic", "event_type", "state", "where")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("priority", ChoicesDropdownFilter),
        ("published_at", PublishedFilter),
    )
    linked_by = ("batch",)
    left_out_of_lists = ("value", "headers")
    search_fields = ("ce_id__exact", "subject__exact")
    search_help_text = "Record id (ce_id) or person id, whole."
    ordering = ("-id",)
    fields = (
        "ce_id",
        "state",
        "topic",
        "event_type",
        "priority",
        "person",
        "came_from",
        "its_event",
        "its_alert",
        "created",
        "published",
        "where",
        "its_batch",
        "shard",
        "attempts",
        "error",
        "record_headers",
        "record_value",
    )
    readonly_fields = fields

    def whom(self, row: OutboxMessage) -> UUID:
        """Return the person whose id is the key."""
        return row.subject

    @display(description="Appended (UTC)", ordering="id")
    def created(self, row: OutboxMessage) -> SafeString | str:
        """Show when it was appended."""
        return moment(row.created_at)

    @display(description="Published (UTC)")
    def published(self, row: OutboxMessage) -> SafeString | str:
        """Show when its transaction was committed."""
        return moment(row.published_at)

    @display(description="Status", label=labels.MESSAGES)
    def state(self, row: OutboxMessage) -> str:
        """Show where it stands."""
        return row.status

    @display(description="Partition @ offset")
    def where(self, row: OutboxMessage) -> str:
        """Show its place on the topic."""
        if row.kafka_offset is None:
            return NOTHING
        return f"{row.kafka_partition} @ {row.kafka_offset}"

    @display(description="Person")
    @once
    def person(self, row: OutboxMessage) -> SafeString | str:
        """Link to the person whose id is the key."""
        subject = Subject.objects.filter(pk=row.subject).first()
        return link(subject) if subject else str(row.subject)

    @display(description="From delivery")
    @once
    def came_from(self, row: OutboxMessage) -> SafeString | str:
        """Link to the delivery that led to it, whose page tells its whole way."""
        return trail_link(delivery_of(row))

    @display(description="From event")
    @once
    def its_event(self, row: OutboxMessage) -> SafeString | str:
        """Link to the event that it tells."""
        return link(row.event)

    @display(description="From alert")
    @once
    def its_alert(self, row: OutboxMessage) -> SafeString | str:
        """Link to the alert that it tells."""
        return link(row.alert)

    @display(description="Batch")
    @once
    def its_batch(self, row: OutboxMessage) -> SafeString | str:
        """Link to the Kafka transaction that held it."""
        return link(row.batch)

    @display(description="Headers")
    @once
    def record_headers(self, row: OutboxMessage) -> SafeString | str:
        """Show the record's headers."""
        return pretty(row.headers)

    @display(description="Headers")
    @once
    def other_headers(self, row: OutboxMessage) -> SafeString | str:
        """Show them without what the value was judged to be."""
        return pretty({k: MASK if k in _JUDGED else v for k, v in row.headers.items()})

    @display(description="Value")
    @once
    def record_value(self, row: OutboxMessage) -> SafeString | str:
        """Show the record's value."""
        return pretty_bytes(row.value)


@admin.register(PublishBatch)
class PublishBatchAdmin(ReadOnlyAdmin[PublishBatch]):
    """What one Kafka transaction held."""

    nothing_yet = "Nothing was sent to Kafka yet. Messages shows what waits for it."
    of_others = {"rows": OutboxMessage}
    list_display = ("created", "shard", "seq", "phase", "size")
    list_filter = (("state", ChoicesDropdownFilter),)
    ordering = ("-id",)
    fields = ("shard", "seq", "phase", "size", "holder", "created", "closed", "rows")
    readonly_fields = fields

    @display(description="Opened (UTC)", ordering="id")
    def created(self, row: PublishBatch) -> SafeString | str:
        """Show when it was claimed."""
        return moment(row.created_at)

    @display(description="Closed (UTC)")
    def closed(self, row: PublishBatch) -> SafeString | str:
        """Show when its outcome was known."""
        return moment(row.closed_at)

    @display(
        description="State",
        label={
            BatchState.OPEN: "info",
            BatchState.PUBLISHED: "success",
            BatchState.VOID: "warning",
        },
    )
    def phase(self, row: PublishBatch) -> str:
        """Show the outcome."""
        return row.state

    @display(description="Messages")
    def rows(self, row: PublishBatch) -> SafeString | str:
        """Link to what it holds."""
        return list_link(OutboxMessage, "show", batch__id__exact=row.pk)


@admin.register(ShardLease)
class ShardLeaseAdmin(ReadOnlyAdmin[ShardLease]):
    """Who works on which shard."""

    nothing_yet = (
        "No worker has taken a shard yet. Is one running? manage.py doctor says so."
    )

    list_display = ("step", "shard", "until_utc", "is_clean", "alarm")
    list_filter = (("step", ChoicesDropdownFilter),)
    ordering = ("step", "shard")
    fields = (
        "step",
        "shard",
        "token",
        "until_utc",
        "holder",
        "is_clean",
        "next_seq",
        "alarm",
    )
    readonly_fields = fields

    @display(description="Held until (UTC)")
    def until_utc(self, row: ShardLease) -> SafeString | str:
        """Show until when it is held."""
        return moment(row.until) if row.until > _NEVER else "never held"

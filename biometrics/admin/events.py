"""What was said: events and readings."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from biometrics.admin import labels
from biometrics.admin.filters import MetricFilter, UtcRangeFilter, VendorFilter
from biometrics.admin.reveal import HidingAdmin
from biometrics.admin.shown import (
    NOT_KEPT,
    bullets,
    first,
    link,
    list_link,
    moment,
    once,
    pretty,
    trail_link,
)
from biometrics.models import (
    BiometricEvent,
    HrvNight,
    OutboxMessage,
    Reading,
    WebhookDelivery,
)


@admin.register(BiometricEvent)
class BiometricEventAdmin(HidingAdmin[BiometricEvent]):
    """One thing that a delivery said about one record."""

    nothing_yet = (
        "Nothing has been understood yet. Deliveries shows what came in, and each one "
        "says what became of it."
    )
    health_fields = ("value",)
    of_others = {
        "came_from": WebhookDelivery,
        "its_readings": Reading,
        "its_messages": OutboxMessage,
        "its_nights": HrvNight,
    }

    list_display = ("created", "vendor", "record", "person", "state")
    list_filter = (
        VendorFilter,
        ("status", ChoicesDropdownFilter),
        ("action", ChoicesDropdownFilter),
        ("created_at", UtcRangeFilter),
    )
    left_out_of_lists = ("data", "problems")
    search_fields = ("id__exact", "record_id__exact", "subject__id__exact")
    search_help_text = "Event id, vendor record id or person id, whole."
    list_select_related = ("subject",)
    ordering = ("-created_at",)
    fields = (
        "id",
        "state",
        "vendor",
        "record",
        "record_id",
        "person",
        "came_from",
        "revision",
        "starts",
        "ends",
        "zone_offset",
        "local_date",
        "mapping_version",
        "its_readings",
        "its_messages",
        "its_nights",
        "not_understood",
        "value",
    )
    readonly_fields = fields

    @display(description="Created (UTC)", ordering="created_at")
    def created(self, row: BiometricEvent) -> SafeString | str:
        """Show when the bridge understood it."""
        return moment(row.created_at)

    @display(description="Record")
    def record(self, row: BiometricEvent) -> str:
        """Show the type and what happened to it."""
        return f"{row.record_type} {row.action}"

    @display(description="Person")
    @once
    def person(self, row: BiometricEvent) -> SafeString | str:
        """Link to the person."""
        return link(row.subject)

    @display(description="Status", label=labels.EVENTS)
    def state(self, row: BiometricEvent) -> str:
        """Show whether this revision holds."""
        return row.status

    @display(description="From delivery")
    @once
    def came_from(self, row: BiometricEvent) -> SafeString | str:
        """Link to the delivery."""
        return trail_link(row.delivery)

    @display(description="Revision of (UTC)")
    def revision(self, row: BiometricEvent) -> SafeString | str:
        """Show the stamp that orders revisions."""
        return moment(row.revision_stamp)

    @display(description="Start (UTC)")
    def starts(self, row: BiometricEvent) -> SafeString | str:
        """Show the start."""
        return moment(row.start)

    @display(description="End (UTC)")
    def ends(self, row: BiometricEvent) -> SafeString | str:
        """Show the end."""
        return moment(row.end)

    @display(description="Readings")
    @once
    def its_readings(self, row: BiometricEvent) -> SafeString | str:
        """Link to the values that hold because of this event."""
        readings = first(row.readings.order_by("metric"))
        return bullets([link(reading, reading.metric) for reading in readings])

    @display(description="Messages")
    @once
    def its_messages(self, row: BiometricEvent) -> SafeString | str:
        """Link to what was handed to Kafka."""
        rows = first(row.messages.order_by("id"))
        return bullets([link(m, f"{m.event_type}: {m.status}") for m in rows])

    @display(description="HRV nights")
    @once
    def its_nights(self, row: BiometricEvent) -> SafeString | str:
        """Link to the night that it judged."""
        return bullets([link(n) for n in first(row.hrv_nights.order_by("night"))])

    @display(description="Values that became missing")
    @once
    def not_understood(self, row: BiometricEvent) -> SafeString | str:
        """Show which fields held no plausible value."""
        return pretty(row.problems)

    @display(description="Value as published")
    @once
    def value(self, row: BiometricEvent) -> SafeString | str:
        """Show the record's value."""
        return pretty(row.data) if row.data else NOT_KEPT


@admin.register(Reading)
class ReadingAdmin(HidingAdmin[Reading]):
    """The current value of one metric of one record; lists show no value."""

    nothing_yet = (
        "No values yet. They come with deliveries that are understood; Deliveries shows "
        "what came in."
    )
    health_fields = ("amount",)
    of_others = {"its_event": BiometricEvent}
    list_display = ("local_date", "metric", "unit", "person", "record_type")
    list_filter = (MetricFilter,)
    search_fields = ("subject__id__exact", "event__record_id__exact")
    search_help_text = "Person id or vendor record id, whole."
    list_select_related = ("subject",)
    ordering = ("-id",)
    fields = (
        "metric",
        "amount",
        "context",
        "person",
        "starts",
        "ends",
        "zone_offset",
        "local_date",
        "record_type",
        "record_id",
        "came_from",
        "its_event",
        "others",
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reading], search_term: str
    ) -> tuple[QuerySet[Reading], bool]:
        """Look for a person, else for the record of the reading's event: by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(subject=UUID(term)), False
        except ValueError:
            return queryset.filter(event__record_id=term), False

    @display(description="Value")
    def amount(self, row: Reading) -> str:
        """Show value and unit."""
        return f"{row.value:g} {row.unit}"

    @display(description="Person")
    @once
    def person(self, row: Reading) -> SafeString | str:
        """Link to the person."""
        return link(row.subject)

    @display(description="Start (UTC)")
    def starts(self, row: Reading) -> SafeString | str:
        """Show the start."""
        return moment(row.start)

    @display(description="End (UTC)")
    def ends(self, row: Reading) -> SafeString | str:
        """Show the end."""
        return moment(row.end)

    @display(description="From delivery")
    @once
    def came_from(self, row: Reading) -> SafeString | str:
        """Link to the delivery, whose page tells its whole way."""
        return trail_link(row.event.delivery)

    @display(description="From event")
    @once
    def its_event(self, row: Reading) -> SafeString | str:
        """Link to the event that said it."""
        return link(row.event)

    @display(description="Same metric of this person")
    def others(self, row: Reading) -> SafeString | str:
        """Link to the person's other values."""
        return list_link(Reading, "show", metric=row.metric, q=row.subject_id)

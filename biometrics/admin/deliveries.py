"""What came in, as it came in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from biometrics import secret_use
from biometrics.admin import as_command, labels, ledger_page
from biometrics.admin.delivery_verbs import REPLAY, RETRY
from biometrics.admin.filters import ErrorCodeFilter, UtcRangeFilter, VendorFilter
from biometrics.admin.reasons import confirm
from biometrics.admin.reveal import HidingAdmin, is_revealed
from biometrics.admin.shown import (
    NOTHING,
    bullets,
    first,
    link,
    moment,
    once,
    pretty,
    pretty_bytes,
)
from biometrics.admin.trail import Trail, trail_of
from biometrics.admin.trail_verbs import verbs
from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin
from biometrics.payload_rows import shown_body
from biometrics.search import deliveries_named
from biometrics.trails import person_of

# The trail above the fields has them all.
_LISTED = 50


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(HidingAdmin[WebhookDelivery]):
    """Every authenticated request and what has become of it."""

    nothing_yet = (
        "No deliveries yet. Point a vendor at /webhooks/… or start the simulator."
    )

    health_fields = ("raw_body", "as_curl", "fetched")
    of_others = {"its_events": BiometricEvent, "its_messages": OutboxMessage}
    change_form_before_template = "admin/biometrics/trail.html"

    list_display = ("received", "vendor", "event_type", "state", "short_error")
    list_filter = (
        VendorFilter,
        ("status", ChoicesDropdownFilter),
        ErrorCodeFilter,
        ("origin", ChoicesDropdownFilter),
        ("received_at", UtcRangeFilter),
    )
    search_fields = ("trace",)
    search_help_text = "Delivery id, vendor account, trace id or record id, whole."
    left_out_of_lists = ("body", "headers")
    ordering = ("-id",)
    actions = ("retry_parked", "replay_selected")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "public_id",
                    "state",
                    "why",
                    "vendor",
                    "event_type",
                    "account_id",
                    "origin",
                    "received",
                    "processed",
                    "attempts",
                    "shard",
                    "proof",
                    "trace",
                    "dedupe_key",
                    "traceparent",
                )
            },
        ),
        ("What became of it", {"fields": ("its_events", "its_messages")}),
        ("As received", {"fields": ("kept_headers", "raw_body", "as_curl", "fetched")}),
    )
    readonly_fields = fieldsets[0][1]["fields"] + (
        "its_events",
        "its_messages",
        "kept_headers",
        "raw_body",
        "as_curl",
        "fetched",
    )

    class Media:
        js = ("biometrics/copy.js",)

    def get_urls(self) -> list[Any]:
        """Add the ledger's page, and each body as a file."""
        view = self.admin_site.admin_view
        return [
            path("ledger/", view(self.ledger), name="biometrics_ledger"),
            path("<int:key>/body/", view(self.body), name=as_command.BODY_PAGE),
            *super().get_urls(),
        ]

    def body(self, request: HttpRequest, key: int) -> HttpResponse:
        """Hand out the bytes as they were signed, once they are revealed."""
        row = get_object_or_404(WebhookDelivery, pk=key, body__isnull=False)
        if not self.has_view_permission(request) or not is_revealed(
            request, self.whom(row)
        ):
            raise PermissionDenied
        return as_command.body_file(row)

    def ledger(self, request: HttpRequest) -> HttpResponse:
        """Show what came in against what is there."""
        return ledger_page.show(self, request)

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[WebhookDelivery],
        search_term: str,
    ) -> tuple[QuerySet[WebhookDelivery], bool]:
        """Look into indexes only: the theme's own search would read the table."""
        term = search_term.strip()
        if term:
            queryset = queryset.filter(deliveries_named(term))
        return queryset, False

    def page_context(
        self, request: HttpRequest, row: WebhookDelivery
    ) -> dict[str, Any]:
        """Put the delivery's way, from receipt to Kafka, before its fields."""
        trail = self.trail(row)
        return {"trail": trail, "verbs": verbs(request, trail.found)}

    @once
    def trail(self, row: WebhookDelivery) -> Trail:
        """Return its way, with all that became of it."""
        return trail_of(row)

    @once
    def whom(self, row: WebhookDelivery) -> UUID:
        """Return the person of whom it speaks, itself where that is not certain."""
        return person_of(row) or row.public_id

    @display(description="Received (UTC)", ordering="id")
    def received(self, row: WebhookDelivery) -> SafeString | str:
        """Show when it came."""
        return moment(row.received_at)

    @display(description="Finished (UTC)")
    def processed(self, row: WebhookDelivery) -> SafeString | str:
        """Show when it came to rest."""
        return moment(row.processed_at)

    @display(description="Status", label=labels.DELIVERIES)
    def state(self, row: WebhookDelivery) -> str:
        """Show the status as a coloured word."""
        return row.status

    @display(description="Problem")
    def short_error(self, row: WebhookDelivery) -> str:
        """Show what is wrong in a few words."""
        return row.error[:80] or NOTHING

    @display(description="Why, and what next")
    def why(self, row: WebhookDelivery) -> str:
        """Show the whole sentence."""
        if not row.error:
            return NOTHING
        return f"{row.error_code}: {row.error}"

    @display(description="Proven by")
    def proof(self, row: WebhookDelivery) -> str:
        """Show what proved the sender; what we fetched had to prove nothing."""
        is_sent = row.origin == DeliveryOrigin.WEBHOOK
        return secret_use.proof_of(row) if is_sent else NOTHING

    @display(description="Events")
    def its_events(self, row: WebhookDelivery) -> SafeString | str:
        """Link to what it said."""
        return bullets(
            [link(event) for event in self.trail(row).found.events[:_LISTED]]
        )

    @display(description="Messages")
    def its_messages(self, row: WebhookDelivery) -> SafeString | str:
        """Link to what was handed to Kafka because of it."""
        rows = self.trail(row).found.messages[:_LISTED]
        return bullets([link(m, f"{m.event_type}: {m.status}") for m in rows])

    @display(description="Headers kept")
    @once
    def kept_headers(self, row: WebhookDelivery) -> SafeString | str:
        """Show the headers; credentials are never among them."""
        return pretty(row.headers)

    @display(description="Body")
    @once
    def raw_body(self, row: WebhookDelivery) -> SafeString | str:
        """Show the bytes as they were signed."""
        return pretty_bytes(shown_body(row))

    @display(description="As a command")
    @once
    def as_curl(self, row: WebhookDelivery) -> SafeString | str:
        """Show how to send it again; only its sender can sign it."""
        return as_command.shown(row)

    @display(description="Fetched documents")
    @once
    def fetched(self, row: WebhookDelivery) -> SafeString | str:
        """Show what the vendor's API gave for it."""
        return bullets(
            [
                format_html("{}<br>{}", document, pretty_bytes(document.body))
                for document in first(row.documents.order_by("id"), 10)
            ]
        )

    @action(description="Retry what is parked", permissions=["operate"])
    def retry_parked(
        self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]
    ) -> HttpResponse | None:
        """Ask for a reason, then make the parked ones due again."""
        return confirm(self, request, queryset, RETRY)

    @action(description="Replay with today's mapping", permissions=["operate"])
    def replay_selected(
        self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]
    ) -> HttpResponse | None:
        """Show what would change, ask for a reason, then read the bytes again."""
        return confirm(self, request, queryset, REPLAY)

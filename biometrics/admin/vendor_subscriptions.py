"""What vendors tell us unasked, and until when."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import VendorFilter
from biometrics.admin.shown import moment
from biometrics.connections.subscribed import ALARM_AHEAD
from biometrics.connections.subscriptions import RENEW_AHEAD
from biometrics.models import VendorSubscription

_LABELS = {
    "well": "success",
    "renewed at the next sync": "info",
    "ends soon": "danger",
    "ended": "danger",
    "end unknown": "warning",
}


@admin.register(VendorSubscription)
class VendorSubscriptionAdmin(ReadOnlyAdmin[VendorSubscription]):
    """As the vendor listed them last; the daily sync renews them in time."""

    nothing_yet = (
        "No subscription is known. manage.py subscriptions list asks the vendor, and sync "
        "makes those that are missing."
    )
    list_display = ("topic", "vendor", "expires", "state", "callback_url", "seen")
    list_filter = (VendorFilter,)
    search_fields = ("data_type__exact", "remote_id__exact")
    search_help_text = "Data type or the vendor's id, whole."
    # What ends first needs somebody first.
    ordering = ("expires_at", "data_type", "event_type")
    fields = (
        "topic",
        "vendor",
        "remote_id",
        "callback_url",
        "expires",
        "state",
        "seen",
    )
    readonly_fields = fields

    @display(description="Told of", ordering="data_type")
    def topic(self, row: VendorSubscription) -> str:
        """Show the data type and what happens to it."""
        return f"{row.data_type}.{row.event_type}"

    @display(description="Ends (UTC)", ordering="expires_at")
    def expires(self, row: VendorSubscription) -> SafeString | str:
        """Show until when."""
        return moment(row.expires_at)

    @display(description="Listed (UTC)", ordering="seen_at")
    def seen(self, row: VendorSubscription) -> SafeString | str:
        """Show when the vendor listed it last."""
        return moment(row.seen_at)

    @display(description="State", label=_LABELS)
    def state(self, row: VendorSubscription) -> str:
        """Say whether it needs somebody: the sync alarms of what ends soon."""
        if row.expires_at is None:
            return "end unknown"
        left = row.expires_at - timezone.now()
        if left.total_seconds() <= 0:
            return "ended"
        if left <= ALARM_AHEAD:
            return "ends soon"
        return "renewed at the next sync" if left <= RENEW_AHEAD else "well"

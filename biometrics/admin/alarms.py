"""What needs a person."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin.base import ReadOnlyAdmin, moment
from biometrics.admin.filters import OpenAlarmFilter, UtcRangeFilter
from biometrics.models import StaffAlarm


@admin.register(StaffAlarm)
class StaffAlarmAdmin(ReadOnlyAdmin[StaffAlarm]):
    """Each stays open until what raised it is well again; nobody closes one by hand."""

    nothing_yet = "Nothing needs a person."

    list_display = ("raised", "kind", "key", "text", "state")
    list_filter = (OpenAlarmFilter, ("since", UtcRangeFilter))
    search_fields = ("kind__exact", "key__exact")
    search_help_text = "Kind or key, whole."
    ordering = ("-since",)
    fields = ("kind", "key", "text", "raised", "cleared", "state")
    readonly_fields = fields

    @display(description="Since (UTC)", ordering="since")
    def raised(self, row: StaffAlarm) -> SafeString | str:
        """Show since when."""
        return moment(row.since)

    @display(description="Over since (UTC)")
    def cleared(self, row: StaffAlarm) -> SafeString | str:
        """Show when it was well again."""
        return moment(row.cleared_at)

    @display(description="Status", label={"open": "danger", "over": "success"})
    def state(self, row: StaffAlarm) -> str:
        """Show whether it is still so."""
        return "open" if row.cleared_at is None else "over"

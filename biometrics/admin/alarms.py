"""What needs a person."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import OpenAlarmFilter, UtcRangeFilter
from biometrics.admin.person_page import CONNECT
from biometrics.admin.shown import NOTHING, bullets, connect_link, link, moment, once
from biometrics.alarms import title_of
from biometrics.models import StaffAlarm, VendorConnection

# Their key begins with the connection's number.
_OF_CONNECTIONS = ("needs_reconnect", "silence")


@admin.register(StaffAlarm)
class StaffAlarmAdmin(ReadOnlyAdmin[StaffAlarm]):
    """Each stays open until what raised it is well again; nobody closes one by hand."""

    nothing_yet = (
        "Nothing needs a person. Silent streams, lost consents and a ledger that does not "
        "add up come here by themselves, and go once they are well."
    )

    list_display = ("raised", "what", "key", "text", "state")
    list_filter = (OpenAlarmFilter, ("since", UtcRangeFilter))
    search_fields = ("kind__exact", "key__exact")
    search_help_text = "Kind or key, whole."
    ordering = ("-since",)
    fields = ("what", "kind", "key", "text", "raised", "cleared", "state")
    readonly_fields = (*fields, "next_step")

    def get_fields(
        self, request: HttpRequest, obj: StaffAlarm | None = None
    ) -> tuple[str, ...]:
        """Lead to where it is seen to, those who may do so."""
        may = request.user.has_perm(CONNECT)
        is_about = obj is not None and obj.kind in _OF_CONNECTIONS
        return (*self.fields, "next_step") if may and is_about else self.fields

    @display(description="Next step")
    @once
    def next_step(self, row: StaffAlarm) -> SafeString | str:
        """Link to the page that connects the person's account, and to the account."""
        number = row.key.partition("/")[0]
        rows = VendorConnection.objects.filter(pk=number if number.isdecimal() else 0)
        connection = rows.select_related("subject").first()
        if connection is None:
            return NOTHING
        return bullets([connect_link(connection), link(connection)])

    @display(description="Since (UTC)", ordering="since")
    def raised(self, row: StaffAlarm) -> SafeString | str:
        """Show since when."""
        return moment(row.since)

    @display(description="What")
    def what(self, row: StaffAlarm) -> str:
        """Say in words what it is about."""
        return title_of(row.kind)

    @display(description="Over since (UTC)")
    def cleared(self, row: StaffAlarm) -> SafeString | str:
        """Show when it was well again."""
        return moment(row.cleared_at)

    @display(description="Status", label={"open": "danger", "over": "success"})
    def state(self, row: StaffAlarm) -> str:
        """Show whether it is still so."""
        return "open" if row.cleared_at is None else "over"

"""Which signing secret is still in use, so that an old one can go."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics import secret_use
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.shown import moment
from biometrics.models import SecretUse


@admin.register(SecretUse)
class SecretUseAdmin(ReadOnlyAdmin[SecretUse]):
    """A row for each secret in the settings; none of them is shown, nor any part of it."""

    nothing_yet = (
        "No webhook was proven by a secret yet: the first one that comes makes a row for "
        "each secret in the settings."
    )
    list_display = ("place", "proven", "last", "watched", "state")
    ordering = ("vendor", "slot")
    fields = ("place", "proven", "last", "watched", "counted", "state", "advice")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[SecretUse]:
        """Read each with what the others of its vendor do, in one query."""
        return secret_use.rows().order_by(*self.ordering)

    @display(description="Secret (counted from 0)", ordering="vendor")
    def place(self, row: SecretUse) -> str:
        """Show the vendor and the place in its list."""
        return str(row)

    @display(description="Last proof (UTC)", ordering="last_at")
    def last(self, row: SecretUse) -> SafeString | str:
        """Show when it last proved a delivery."""
        return moment(row.last_at)

    @display(description="Counted since (UTC)", ordering="since")
    def watched(self, row: SecretUse) -> SafeString | str:
        """Show since when it is in the settings and counted."""
        return moment(row.since)

    @display(description="Counted until (UTC)")
    def counted(self, row: SecretUse) -> SafeString | str:
        """Show up to when deliveries were counted."""
        return moment(row.counted_until)

    @display(
        description="Status",
        label={"in use": "success", "quiet": "info", "may go": "warning"},
    )
    def state(self, row: SecretUse) -> str:
        """Show whether it is needed."""
        now = timezone.now()
        if secret_use.may_go(row, now=now):
            return "may go"
        return "in use" if secret_use.is_used(row, now=now) else "quiet"

    @display(description="What to do")
    def advice(self, row: SecretUse) -> str:
        """Say what the status means for the settings."""
        name = f"AUREN_WEBHOOK_SECRET_{row.vendor.upper()}"
        return {
            "may go": f"It proved nothing for 7 days while another one did: "
            f"take it out of {name}.",
            "in use": "The vendor signs with it: keep it.",
            "quiet": "Nothing came that it proved. Keep it until it has been quiet for "
            "7 days beside one that is in use.",
        }[self.state(row)]

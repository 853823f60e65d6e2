"""Who did what, and why."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin.base import (
    ReadOnlyAdmin,
    moment,
    once,
    pretty,
)
from biometrics.admin.filters import UtcRangeFilter
from biometrics.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """Acts of people and commands; nobody edits them."""

    list_display = ("when", "actor", "verb", "target", "reason")
    list_filter = (("at", UtcRangeFilter),)
    search_fields = ("actor__exact", "verb__istartswith", "target__exact")
    search_help_text = "Who, verb or target."
    ordering = ("-at",)
    fields = ("when", "actor", "verb", "target", "reason", "more")
    readonly_fields = fields

    @display(description="When (UTC)", ordering="at")
    def when(self, row: AuditEntry) -> SafeString | str:
        """Show when."""
        return moment(row.at)

    @display(description="Detail")
    @once
    def more(self, row: AuditEntry) -> SafeString | str:
        """Show what else was noted."""
        return pretty(row.detail)

"""Who did what, and why: by verb, by person and time, and as a file."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin import audit_export
from biometrics.admin.base import ReadOnlyAdmin, moment, once, pretty
from biometrics.admin.filters import ActorFilter, UtcRangeFilter, VerbFilter
from biometrics.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """Acts of people and commands; nobody edits them."""

    nothing_yet = "Nothing has been done by hand yet."

    list_before_template = "admin/biometrics/audit_list.html"
    list_display = ("when", "actor", "verb", "target", "reason")
    list_filter = (VerbFilter, ActorFilter, ("at", UtcRangeFilter))
    search_fields = ("actor__exact", "verb__exact", "target__exact")
    search_help_text = "Who, verb or target, whole."
    ordering = ("-at",)
    fields = ("when", "actor", "verb", "target", "reason", "more")
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        """Add the page that gives what is filtered as a file."""
        view = self.admin_site.admin_view(self.export)
        own = path("export/", view, name="biometrics_auditentry_export")
        return [own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the link to the file; it takes this list's filters along."""
        there = reverse("admin:biometrics_auditentry_export")
        query = request.GET.urlencode()
        url = f"{there}?{query}" if query else there
        page: HttpResponse = super().changelist_view(
            request, {**(extra_context or {}), "export_url": url}
        )
        return page

    def export(self, request: HttpRequest) -> HttpResponse:
        """Ask why, then give what the list's filters keep as CSV."""
        return audit_export.export(self, request)

    @display(description="When (UTC)", ordering="at")
    def when(self, row: AuditEntry) -> SafeString | str:
        """Show when."""
        return moment(row.at)

    @display(description="Detail")
    @once
    def more(self, row: AuditEntry) -> SafeString | str:
        """Show what else was noted."""
        return pretty(row.detail)

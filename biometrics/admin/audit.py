"""Who did what, and why: by verb, by person and time, and as a file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics import audit
from biometrics.admin import audit_export
from biometrics.admin.audit_words import is_note, people_of, reason_in_lists
from biometrics.admin.filters import ActorFilter, UtcRangeFilter, VerbFilter
from biometrics.admin.reveal import HidingAdmin, is_revealed, offer
from biometrics.admin.shown import bullets, moment, once, pretty
from biometrics.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(HidingAdmin[AuditEntry]):
    """Acts of people and commands; nobody edits them.

    What was found after an alert is a health value: it is shown once the values of all
    whose alerts it answered are revealed.
    """

    nothing_yet = (
        "Nothing has been done by hand yet. Each act and reveal comes here, with its "
        "reason."
    )

    list_before_template = "admin/biometrics/audit_list.html"
    list_display = ("when", "actor", "verb", "target", "why")
    list_filter = (VerbFilter, ActorFilter, ("at", UtcRangeFilter))
    search_fields = ("actor__exact", "verb__exact", "target__exact")
    search_help_text = "Who, verb or target, whole; or the id of what it was done to."
    ordering = ("-at",)
    fields = ("when", "actor", "verb", "target", "why", "note", "more")
    readonly_fields = fields
    health_fields = ("note",)

    def get_urls(self) -> list[Any]:
        """Add the page that gives what is filtered as a file."""
        view = self.admin_site.admin_view(self.export)
        own = path("export/", view, name="biometrics_auditentry_export")
        return [own, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Find what was done to an id, whatever kind of row it names."""
        try:
            key = UUID(search_term.strip().rpartition(" ")[2])
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(target__in=audit.spellings(key)), False

    def get_fields(
        self, request: HttpRequest, obj: AuditEntry | None = None
    ) -> tuple[str, ...]:
        """Leave the note out where there is none."""
        is_kept = obj is not None and is_note(obj)
        return tuple(name for name in self.fields if is_kept or name != "note")

    def is_shown(self, request: HttpRequest, row: AuditEntry) -> bool:
        """Say whether the values of everybody of whom the note speaks are revealed."""
        people = people_of(row)
        return bool(people) and all(is_revealed(request, one) for one in people)

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

    @display(description="Reason")
    def why(self, row: AuditEntry) -> str:
        """Show the reason; of an answer to an alert what it was worth."""
        return reason_in_lists(row)

    @display(description="What was found or done")
    def note(self, row: AuditEntry) -> str:
        """Show what somebody found after an alert."""
        return row.reason

    @display(description="Health values")
    def hidden_values(self, row: AuditEntry) -> SafeString | str:
        """Offer to reveal the values of everybody of whom it speaks."""
        here = reverse("admin:biometrics_auditentry_change", args=[row.pk])
        return bullets([offer(one, here=here) for one in people_of(row)])

    @display(description="Detail")
    @once
    def more(self, row: AuditEntry) -> SafeString | str:
        """Show what else was noted."""
        return pretty(row.detail)

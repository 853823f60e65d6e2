"""Who the data is about."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.erasing import erase
from biometrics.admin.inviting import invite
from biometrics.admin.person_page import page_context
from biometrics.admin.reveal import reveal
from biometrics.admin.shown import (
    bullets,
    first,
    link,
    list_link,
    moment,
    once,
)
from biometrics.admin.tuning import PERMISSION as TUNING_PERMISSION
from biometrics.admin.tuning import tune
from biometrics.admin.viewer import may_view
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    HrvNight,
    HrvTuning,
    OutboxMessage,
    Reading,
    Subject,
    VendorConnection,
)

_MORE: dict[type[Model], str] = {
    BiometricEvent: "Events",
    Reading: "Readings",
    HrvNight: "HRV nights",
    HrvAlert: "Alerts",
    OutboxMessage: "Messages",
}


@admin.register(Subject)
class SubjectAdmin(ReadOnlyAdmin[Subject]):
    """A person, and everything that is theirs."""

    nothing_yet = (
        "Nobody yet. Connect a vendor account, or let people be created as they appear."
    )

    change_form_before_template = "admin/biometrics/hrv_person.html"
    of_others = {"connected": VendorConnection, "last_alerts": HrvAlert}
    list_display = ("label", "id", "created")
    search_fields = ("id__exact", "label__istartswith")
    search_help_text = "Person id, whole, or the start of the label."
    ordering = ("label",)
    fields = ("label", "id", "created", "connected", "last_alerts", "alerting", "more")
    readonly_fields = fields

    class Media:
        js = ("biometrics/hrv.js",)

    @display(description="Known since (UTC)", ordering="created_at")
    def created(self, row: Subject) -> SafeString | str:
        """Show since when."""
        return moment(row.created_at)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave the links to other lists out where none of them may be followed."""
        kept = super().get_fieldsets(request, obj)
        if any(may_view(model) for model in _MORE):
            return kept
        return [
            (
                title,
                {**options, "fields": [f for f in options["fields"] if f != "more"]},
            )
            for title, options in kept
        ]

    @display(description="Connections")
    @once
    def connected(self, row: Subject) -> SafeString | str:
        """Link to the vendor accounts."""
        rows = first(row.connections.order_by("vendor"))
        return bullets([link(c, f"{c.vendor}: {c.status}") for c in rows])

    def get_urls(self) -> list[Any]:
        """Add the page that makes connect links."""
        view = self.admin_site.admin_view(self.connect)
        routes = [
            path("<uuid:object_id>/connect/", view, name="biometrics_subject_connect"),
            path(
                "<uuid:object_id>/alert-settings/",
                self.admin_site.admin_view(self.alert_settings),
                name="biometrics_subject_tuning",
            ),
            path(
                "<uuid:object_id>/erase/",
                self.admin_site.admin_view(self.erase),
                name="biometrics_subject_erase",
            ),
            path(
                "reveal/<uuid:key>/",
                self.admin_site.admin_view(self.reveal),
                name="biometrics_subject_reveal",
            ),
        ]
        return [*routes, *super().get_urls()]

    def page_context(self, request: HttpRequest, row: Subject) -> dict[str, Any]:
        """Put before the fields whether data flows, and the nights once revealed."""
        return page_context(request, row)

    def reveal(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Ask why, then show this person's values for a while."""
        return reveal(self.admin_site, request, key)

    def alert_settings(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Set how low is low for this person, or silence until a date."""
        if not request.user.has_perm(TUNING_PERMISSION):
            raise PermissionDenied
        return tune(self, request, get_object_or_404(Subject, pk=object_id))

    def erase(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Show what would go, then forget the person."""
        return erase(self, request, get_object_or_404(Subject, pk=object_id))

    def connect(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Make a link through which this person connects an account."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return invite(self, request, get_object_or_404(Subject, pk=object_id))

    @display(description="Latest alerts")
    @once
    def last_alerts(self, row: Subject) -> SafeString | str:
        """Link to the latest alerts."""
        alerts = first(row.hrv_alerts.order_by("-night"), 10)
        return bullets(
            [link(a, f"{a.night} {a.severity} ({a.status})") for a in alerts]
        )

    @display(description="Alert settings")
    @once
    def alerting(self, row: Subject) -> str:
        """Say what staff decided for this person."""
        tuning = HrvTuning.objects.filter(pk=row.pk).first()
        said = "as for everybody"
        if tuning is not None:
            said = f"thresholds {tuning.threshold_offset:g} SD lower"
            if tuning.muted_until and tuning.muted_until >= timezone.now().date():
                said += f", muted until {tuning.muted_until}"
        return said

    @display(description="Everything of this person")
    def more(self, row: Subject) -> SafeString | str:
        """Link to the filtered lists."""
        return bullets(
            [
                list_link(model, text, q=row.pk)
                for model, text in _MORE.items()
                if may_view(model)
            ]
        )

"""Who the data is about and how it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from biometrics import audit, linking
from biometrics.admin.base import (
    ReadOnlyAdmin,
    bullets,
    connect_link,
    first,
    link,
    list_link,
    moment,
    once,
)
from biometrics.admin.erasing import erase
from biometrics.admin.filters import VendorFilter
from biometrics.admin.inviting import invite
from biometrics.admin.person_page import CONNECT, page_context
from biometrics.admin.reasons import Verb, confirm
from biometrics.admin.reveal import reveal
from biometrics.admin.tuning import PERMISSION as TUNING_PERMISSION
from biometrics.admin.tuning import tune
from biometrics.admin.viewer import may_view
from biometrics.admin.words import plural
from biometrics.connections import consent, registry
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    HrvNight,
    HrvTuning,
    OutboxMessage,
    Reading,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.people import ConnectionStatus

_LABELS = {
    ConnectionStatus.ACTIVE: "success",
    ConnectionStatus.NEEDS_RECONNECT: "danger",
    ConnectionStatus.REVOKED: "warning",
}
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


@admin.register(VendorConnection)
class VendorConnectionAdmin(ReadOnlyAdmin[VendorConnection]):
    """A vendor account. Tokens are never shown, only whether there are any."""

    nothing_yet = "No account is connected. A person's page makes a link to send."
    of_others = {"deliveries": WebhookDelivery}

    list_display = ("vendor", "person", "account_id", "state", "updated")
    list_filter = (VendorFilter, ("status", ChoicesDropdownFilter))
    actions = ("revoke_selected",)
    search_fields = ("account_id__exact", "subject__id__exact")
    search_help_text = "Vendor account or person id, whole."
    list_select_related = ("subject",)
    ordering = ("-id",)
    fields = (
        "vendor",
        "person",
        "account_id",
        "state",
        "status_reason",
        "scopes",
        "not_granted",
        "credentials",
        "token_expires",
        "created",
        "updated",
        "deliveries",
    )
    readonly_fields = (*fields, "next_step")

    def get_fields(
        self, request: HttpRequest, obj: VendorConnection | None = None
    ) -> tuple[str, ...]:
        """Lead those who may do so to a new link where the old consent is gone."""
        lost = ConnectionStatus.NEEDS_RECONNECT
        is_lost = obj is not None and obj.status == lost
        may = request.user.has_perm(CONNECT)
        return (*self.fields, "next_step") if is_lost and may else self.fields

    @display(description="Next step")
    @once
    def next_step(self, row: VendorConnection) -> SafeString | str:
        """Link to the page that makes its person a new connect link."""
        return connect_link(row)

    @display(description="Person")
    @once
    def person(self, row: VendorConnection) -> SafeString | str:
        """Link to the person."""
        return link(row.subject)

    @display(description="Status", label=_LABELS)
    def state(self, row: VendorConnection) -> str:
        """Show whether it works."""
        return row.status

    @display(description="Scopes not granted")
    def not_granted(self, row: VendorConnection) -> str:
        """Name what was asked for and is missing: a new consent can grant it."""
        if not row.scopes:
            return "unknown"
        return ", ".join(consent.missing_scopes(row.vendor, row.scopes)) or "none"

    @display(description="Credentials held")
    def credentials(self, row: VendorConnection) -> str:
        """Say which credentials exist, never what they are."""
        held = [
            name
            for name, value in (
                ("access token (encrypted)", row.access_token),
                ("refresh token (encrypted)", row.refresh_token),
                ("personal token (hash only)", row.personal_token_sha256),
            )
            if value
        ]
        sessions = row.sessions.count()
        if sessions:
            held.append(f"{sessions} phone sessions (hashes only)")
        return ", ".join(held) or "none"

    @display(description="Access token runs out (UTC)")
    def token_expires(self, row: VendorConnection) -> SafeString | str:
        """Show when the access token ends."""
        return moment(row.token_expires_at)

    @display(description="Connected (UTC)")
    def created(self, row: VendorConnection) -> SafeString | str:
        """Show since when."""
        return moment(row.created_at)

    @display(description="Changed (UTC)", ordering="updated_at")
    def updated(self, row: VendorConnection) -> SafeString | str:
        """Show the last change."""
        return moment(row.updated_at)

    @display(description="Deliveries")
    def deliveries(self, row: VendorConnection) -> SafeString | str:
        """Link to what came for this account."""
        return list_link(WebhookDelivery, "show", vendor=row.vendor, q=row.account_id)

    @action(description="Revoke", permissions=["operate"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[VendorConnection]
    ) -> HttpResponse | None:
        """Ask for a reason, then end the connections and forget their tokens."""
        verb = Verb(
            name="revoke_selected",
            title="Revoke",
            effect="The selected connections end: tokens are forgotten, nothing is "
            "fetched, a phone's token is refused within half a minute.",
            act=_revoke,
        )
        return confirm(self, request, queryset, verb)


def _revoke(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
    chosen = list(rows.order_by("id").values_list("id", "vendor", "account_id"))
    with transaction.atomic():
        for connection_id, vendor, account_id in chosen:
            with linking.telling(
                vendor=vendor,
                account_id=account_id,
                reason="staff ended the connection",
                now=timezone.now(),
            ):
                registry.revoke(connection_id=connection_id, reason=said["reason"])
            audit.note(
                actor=request.user.get_username(),
                verb="connection.revoke",
                target=f"connection {connection_id}",
                reason=said["reason"],
                now=timezone.now(),
            )
    return f"{plural(len(chosen), 'connection')} revoked."

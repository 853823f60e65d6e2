"""The vendor accounts through which a person's data comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from biometrics import audit, linking
from biometrics.admin import labels
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import VendorFilter
from biometrics.admin.person_page import CONNECT
from biometrics.admin.reasons import Verb, confirm
from biometrics.admin.shown import connect_link, link, list_link, moment, once
from biometrics.admin.words import plural
from biometrics.connections import consent, registry
from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.models.people import ConnectionStatus


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

    @display(description="Status", label=labels.CONNECTIONS)
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

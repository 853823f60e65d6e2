"""Being told of alerts by e-mail or webhook: who is, how, and what each was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.inviting import CopyForm
from biometrics.admin.reasons import Verb, confirm
from biometrics.admin.shown import NOTHING, link, list_link, moment, once
from biometrics.admin.words import plural
from biometrics.errors import BiometricsError
from biometrics.models import AlertNotice, AlertSubscription, HrvAlert
from biometrics.models.hrv import Severity
from biometrics.models.notices import Channel, NoticeStatus
from biometrics.notifying import subscribing

ADD = "biometrics.add_alertsubscription"
ADD_WEBHOOK = "biometrics.add_webhook"
_LIST = "admin:biometrics_alertsubscription_changelist"
_SHOWN_ONCE = "Shown this once: the receiver checks the signature with it."


class _TimeInput(UnfoldAdminTextInputWidget):
    input_type = "time"


class SubscribeForm(forms.Form):
    """How somebody wants to be told."""

    channel = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    address = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="An e-mail address, or the https:// address of the webhook.",
    )
    least = forms.ChoiceField(
        label="Tell me of",
        choices=[("HIGH", "HIGH and CRITICAL"), ("CRITICAL", "CRITICAL only")],
        widget=UnfoldAdminSelectWidget,
    )
    quiet_from = forms.TimeField(required=False, widget=_TimeInput)
    quiet_until = forms.TimeField(
        required=False,
        widget=_TimeInput,
        help_text="Nothing is sent in these hours; it is once they are over, if the "
        "alert is still open then.",
    )
    zone = forms.CharField(
        label="Time zone of these hours",
        initial="UTC",
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text="For example Europe/Berlin.",
    )
    wakes_for_critical = forms.BooleanField(
        label="Send CRITICAL in quiet hours too",
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget,
    )

    def __init__(
        self, *args: Any, channels: list[tuple[str, str]], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.fields["channel"].choices = channels  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse an e-mail address that is none."""
        said: dict[str, Any] = super().clean() or {}
        if said.get("channel") == Channel.EMAIL and said.get("address"):
            try:
                validate_email(said["address"])
            except ValidationError as error:
                self.add_error("address", error)
        return said


@admin.register(AlertSubscription)
class AlertSubscriptionAdmin(ReadOnlyAdmin[AlertSubscription]):
    """A webhook's secret is never shown again, only that there is one."""

    nothing_yet = "Nobody is told of alerts outside of this console yet. The link above begins it."

    list_before_template = "admin/biometrics/subscribe_link.html"
    of_others = {"told": AlertNotice}
    list_display = ("channel", "address", "least", "owner", "state")
    list_filter = (("channel", ChoicesDropdownFilter),)
    list_select_related = ("owner",)
    search_fields = ("address__exact",)
    search_help_text = "Address, whole."
    ordering = ("-id",)
    actions = ("end_selected",)
    fields = (
        "channel",
        "address",
        "owner",
        "least",
        "quiet",
        "wakes_for_critical",
        "since",
        "state",
        "ended_because",
        "told",
    )
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        """Add the page that subscribes."""
        page = self.admin_site.admin_view(self.subscribe)
        name = "biometrics_alertsubscription_subscribe"
        return [path("subscribe/", page, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer to subscribe to those who may."""
        context = {**(extra_context or {}), "may_subscribe": request.user.has_perm(ADD)}
        page: HttpResponse = super().changelist_view(request, context)
        return page

    def subscribe(self, request: HttpRequest) -> HttpResponse:
        """Ask how, then begin; a webhook's secret is shown with the answer."""
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        channels = _channels(request)
        initial = {"address": getattr(request.user, "email", "")}
        form = SubscribeForm(request.POST or None, channels=channels, initial=initial)
        made = None
        if form.is_valid():
            secret = _begin(request, form)
            if secret:
                made = CopyForm([("Secret", secret)], note=_SHOWN_ONCE)
            elif secret is not None:
                messages.success(request, "You are told of alerts from now on.")
                return HttpResponseRedirect(reverse(_LIST))
        context = {
            **self.admin_site.each_context(request),
            "title": "Be told of alerts",
            "form": form,
            "made": made,
            "page": reverse(_LIST),
        }
        return TemplateResponse(request, "admin/biometrics/subscribe.html", context)

    @display(description="Status", label={"on": "success", "ended": "warning"})
    def state(self, row: AlertSubscription) -> str:
        """Show whether it is told."""
        return "on" if row.ended_at is None else "ended"

    @display(description="Quiet hours")
    def quiet(self, row: AlertSubscription) -> str:
        """Show when nothing is sent."""
        if row.quiet_from is None or row.quiet_until is None:
            return "none"
        return f"{row.quiet_from:%H:%M} to {row.quiet_until:%H:%M} {row.zone}"

    @display(description="Since (UTC)")
    def since(self, row: AlertSubscription) -> SafeString | str:
        """Show since when."""
        return moment(row.created_at)

    @display(description="Told so far")
    def told(self, row: AlertSubscription) -> SafeString | str:
        """Link to what was sent."""
        return list_link(AlertNotice, "show", subscription__id__exact=row.pk)

    @action(description="End", permissions=["operate"])
    def end_selected(
        self, request: HttpRequest, queryset: QuerySet[AlertSubscription]
    ) -> HttpResponse | None:
        """Ask for a reason, then tell them nothing more."""
        verb = Verb(
            name="end_selected",
            title="End",
            effect="The selected subscribers are told of no alert any more; a webhook's "
            "secret is forgotten.",
            act=_end,
        )
        return confirm(self, request, queryset, verb)


def _channels(request: HttpRequest) -> list[tuple[str, str]]:
    if request.user.has_perm(ADD_WEBHOOK):
        return list(Channel.choices)
    return [(Channel.EMAIL.value, str(Channel.EMAIL.label))]


def _begin(request: HttpRequest, form: SubscribeForm) -> str | None:
    """Subscribe; returns the secret ("" without one), None when it was refused."""
    said = form.cleaned_data
    wish = subscribing.Wish(
        owner_id=request.user.pk or 0,
        channel=Channel(said["channel"]),
        address=said["address"].strip(),
        least=Severity(said["least"]),
        quiet_from=said["quiet_from"],
        quiet_until=said["quiet_until"],
        zone=said["zone"],
        wakes_for_critical=said["wakes_for_critical"],
    )
    try:
        _, secret = subscribing.subscribe(
            wish, actor=request.user.get_username(), now=timezone.now()
        )
    except BiometricsError as error:
        form.add_error(None, str(error))
        return None
    return secret


def _end(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
    ended = sum(
        subscribing.end(
            pk,
            actor=request.user.get_username(),
            reason=said["reason"],
            now=timezone.now(),
        )
        for pk in rows.values_list("pk", flat=True)
    )
    return f"{plural(ended, 'subscription')} ended."


@admin.register(AlertNotice)
class AlertNoticeAdmin(ReadOnlyAdmin[AlertNotice]):
    """What one subscriber was told of one alert, or will be."""

    nothing_yet = (
        "Nobody was told of an alert yet. Subscriptions say who would be, and of which."
    )
    of_others = {"whom": AlertSubscription, "its_alert": HrvAlert}
    list_display = ("created", "whom", "its_alert", "state", "error")
    list_filter = (("status", ChoicesDropdownFilter),)
    linked_by = ("subscription",)
    list_select_related = ("subscription", "alert")
    ordering = ("-created_at",)
    fields = ("id", "whom", "its_alert", "state", "attempts", "created", "due", "error")
    readonly_fields = fields

    @display(description="Noted (UTC)", ordering="created_at")
    def created(self, row: AlertNotice) -> SafeString | str:
        """Show since when it is to be told."""
        return moment(row.created_at)

    @display(description="Due (UTC)")
    def due(self, row: AlertNotice) -> SafeString | str:
        """Show when the next attempt is made."""
        return moment(row.due_at) if row.status == NoticeStatus.DUE else NOTHING

    @display(description="Whom")
    @once
    def whom(self, row: AlertNotice) -> SafeString | str:
        """Link to the subscription."""
        return link(row.subscription)

    @display(description="Alert")
    @once
    def its_alert(self, row: AlertNotice) -> SafeString | str:
        """Link to the alert."""
        return link(row.alert)

    @display(
        description="Status",
        label={
            NoticeStatus.DUE: "info",
            NoticeStatus.SENT: "success",
            NoticeStatus.DROPPED: "warning",
            NoticeStatus.GIVEN_UP: "danger",
        },
    )
    def state(self, row: AlertNotice) -> str:
        """Show whether it was told."""
        return row.status

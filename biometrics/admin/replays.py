"""Replays: choose, see what would change, confirm with a reason, watch, cancel."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from biometrics.admin import labels, replay_page
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import UtcRangeFilter
from biometrics.admin.reasons import ReasonForm
from biometrics.admin.shown import moment
from biometrics.models import ReplayRun
from biometrics.replay import runs
from biometrics.replay.runs import ReplayError
from biometrics.replay.selection import REPLAYABLE, Selection
from biometrics.vendors.registry import choices


class _MomentWidget(UnfoldAdminTextInputWidget):
    input_type = "datetime-local"


class SelectionForm(forms.Form):
    """Which deliveries; what is left empty means all."""

    vendor = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    status = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        choices=[("", "any"), *((status, status) for status in REPLAYABLE)],
    )
    error_code = forms.CharField(
        required=False,
        max_length=60,
        label="Reason parked",
        widget=UnfoldAdminTextInputWidget,
        help_text="The code on its card among parked work, such as unreadable.",
    )
    subject = forms.UUIDField(
        required=False,
        label="Person",
        widget=UnfoldAdminTextInputWidget,
        help_text="The person's id: the accounts linked to this person now.",
    )
    since = forms.DateTimeField(
        required=False,
        label="Received at or after (UTC)",
        widget=_MomentWidget,
    )
    until = forms.DateTimeField(
        required=False, label="Received before (UTC)", widget=_MomentWidget
    )
    everything = forms.BooleanField(
        required=False,
        label="Everything that is stored, if nothing above is given",
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["vendor"].choices = [("", "any"), *choices()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse an empty form: everything must be meant."""
        said: dict[str, Any] = super().clean() or {}
        if self.errors:
            return said
        if self.selection == Selection() and not said.get("everything"):
            message = "Say which deliveries, or tick that everything is meant."
            raise forms.ValidationError(message)
        return said

    @property
    def selection(self) -> Selection:
        """Return what was chosen; the form is valid."""
        said = self.cleaned_data
        return Selection(
            vendor=said["vendor"],
            status=said["status"],
            error_code=said["error_code"].strip(),
            subject=said["subject"],
            since=said["since"],
            until=said["until"],
        )


@admin.register(ReplayRun)
class ReplayRunAdmin(ReadOnlyAdmin[ReplayRun]):
    """Every replay and plan, the newest first."""

    nothing_yet = "No replay yet. A new one shows first what it would change."

    list_before_template = "admin/biometrics/replay_list.html"
    list_display = ("created", "chosen", "phase", "progress", "actor")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("created_at", UtcRangeFilter),
    )
    ordering = ("-id",)

    def get_urls(self) -> list[Any]:
        """Add the form, and what is done with a plan or a run."""
        view = self.admin_site.admin_view
        return [
            path("choose/", view(self.choose), name="biometrics_replay_choose"),
            path(
                "<int:pk>/confirm/",
                view(require_POST(self.confirm)),
                name="biometrics_replay_confirm",
            ),
            path(
                "<int:pk>/cancel/",
                view(require_POST(self.cancel)),
                name="biometrics_replay_cancel",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a replay as far as it is, and what can be done with it."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(ReplayRun, pk=object_id)
        context = {
            **self.admin_site.each_context(request),
            **replay_page.page(
                request, run, may_act=self.has_operate_permission(request)
            ),
            "title": f"Replay {run.pk}",
        }
        return TemplateResponse(request, "admin/biometrics/replay.html", context)

    def choose(self, request: HttpRequest) -> HttpResponse:
        """Ask which deliveries; then have the plan made."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = SelectionForm(request.POST if is_sent else None, initial=request.GET)
        if is_sent and form.is_valid():
            run = runs.plan(
                form.selection,
                actor=request.user.get_username(),
                now=timezone.now(),
            )
            return HttpResponseRedirect(_page(run.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": "Replay",
            "form": form,
            "back": reverse("admin:biometrics_replayrun_changelist"),
        }
        return TemplateResponse(request, "admin/biometrics/replay_choose.html", context)

    def confirm(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let a planned replay begin."""
        return self._decide(request, pk, act=runs.confirm, done="It has begun.")

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hand over no more."""
        told = "Cancelled: what was handed over goes on, nothing more is."
        return self._decide(request, pk, act=runs.cancel, done=told)

    def _decide(
        self, request: HttpRequest, pk: int, *, act: Any, done: str
    ) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Nothing was changed: give a reason.")
            return HttpResponseRedirect(_page(pk))
        try:
            act(
                pk,
                actor=request.user.get_username(),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
        except ReplayError as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, done)
        return HttpResponseRedirect(_page(pk))

    @display(description="Asked for (UTC)", ordering="id")
    def created(self, row: ReplayRun) -> SafeString | str:
        """Show since when."""
        return moment(row.created_at)

    @display(description="Deliveries")
    def chosen(self, row: ReplayRun) -> str:
        """Show which deliveries are meant."""
        return replay_page.chosen(row)

    @display(description="State", label=labels.REPLAYS)
    def phase(self, row: ReplayRun) -> str:
        """Show how far it is."""
        return row.state

    @display(description="Read")
    def progress(self, row: ReplayRun) -> str:
        """Show how many have been read, of how many."""
        return f"{row.done} of {row.total}"


def _page(pk: int) -> str:
    return reverse("admin:biometrics_replayrun_change", args=[pk])

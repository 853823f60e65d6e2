"""A person's own alert settings: how low is low, and silence until a date."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import INPUT_CLASSES, UnfoldAdminSelectWidget

from biometrics.admin.reasons import ReasonForm
from biometrics.alerts import staff
from biometrics.alerts.configured import configured_ruleset
from biometrics.models import HrvTuning, Subject

PERMISSION = "biometrics.change_hrvalert"


def _offsets() -> list[tuple[str, str]]:
    steps = round(configured_ruleset().maximum_offset / staff.OFFSET_STEP)
    lower = [
        (f"{step * staff.OFFSET_STEP:g}", f"{step * staff.OFFSET_STEP:.2f} SD lower")
        for step in range(1, steps + 1)
    ]
    return [("0", "as for everybody"), *lower]


class TuningForm(ReasonForm):
    """Both decisions with one reason; an empty date ends the silence."""

    threshold_offset = forms.ChoiceField(
        choices=_offsets,
        widget=UnfoldAdminSelectWidget,
        help_text="A person with more than two HIGH alerts a month: one step more.",
    )
    muted_until = forms.DateField(
        required=False,
        # The browser's own calendar: by keyboard, in the reader's language, no script.
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}
        ),
        help_text="Nothing is raised up to and including this date; nights are judged "
        f"and shown. At most {staff.LONGEST_MUTE_DAYS} days ahead; empty: not muted.",
    )
    # What the page showed: a colleague's decision since then must not be undone.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    field_order = ("threshold_offset", "muted_until", "reason", "seen")

    def __init__(self, *args: Any, now_holds: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._now_holds = now_holds
        self.fields["seen"].initial = now_holds
        today = timezone.now().date()
        self.fields["muted_until"].widget.attrs |= {
            "min": today.isoformat(),
            "max": (today + timedelta(days=staff.LONGEST_MUTE_DAYS)).isoformat(),
        }

    def clean(self) -> dict[str, Any]:
        """Refuse a page that shows what does not hold any more."""
        said: dict[str, Any] = super().clean() or {}
        if said.get("seen") != self._now_holds:
            message = (
                "Somebody has changed these settings meanwhile: open the page anew."
            )
            raise forms.ValidationError(message)
        return said

    def clean_muted_until(self) -> Any:
        """Refuse what the service would refuse, at the field."""
        until, today = self.cleaned_data["muted_until"], timezone.now().date()
        latest = today + timedelta(days=staff.LONGEST_MUTE_DAYS)
        if until is not None and not today <= until <= latest:
            message = f"Must be a date from {today} to {latest}."
            raise forms.ValidationError(message)
        return until


def tune(
    admin: ModelAdmin[Any], request: HttpRequest, subject: Subject
) -> HttpResponse:
    """Show what holds for the person, or store what was decided."""
    page = reverse("admin:biometrics_subject_change", args=[subject.pk])
    known = HrvTuning.objects.filter(pk=subject.pk).first()
    offset = 0.0 if known is None else known.threshold_offset
    until = None if known is None else known.muted_until
    if until is not None and until < timezone.now().date():
        until = None
    initial = {"threshold_offset": f"{offset:g}", "muted_until": until}
    holds = f"{offset:g}|{until or ''}"
    form = TuningForm(request.POST or None, initial=initial, now_holds=holds)
    if form.is_valid():
        _store(request, subject, form.cleaned_data, was=(offset, until))
        messages.success(request, "The next night is judged by this.")
        return HttpResponseRedirect(page)
    context = {
        **admin.admin_site.each_context(request),
        "title": f"Alert settings of {subject.label}",
        "form": form,
        "known": known,
        "page": page,
    }
    return TemplateResponse(request, "admin/biometrics/tuning.html", context)


def _store(
    request: HttpRequest,
    subject: Subject,
    said: dict[str, Any],
    *,
    was: tuple[Any, Any],
) -> None:
    signed: dict[str, Any] = {
        "reason": said["reason"],
        "actor": request.user.get_username(),
        "now": timezone.now(),
    }
    offset, until = float(said["threshold_offset"]), said["muted_until"]
    with transaction.atomic():
        if offset != was[0]:
            staff.set_offset(subject.pk, offset=offset, **signed)
        if until != was[1]:
            staff.mute(subject.pk, until=until, **signed)

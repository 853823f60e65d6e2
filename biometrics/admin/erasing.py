"""Erasing a person: first what would go, then the person's label typed, then it is gone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from biometrics import erasure
from biometrics.admin.reasons import ReasonForm
from biometrics.models import Subject
from biometrics.outbox import OutboxError

PERMISSION = "biometrics.delete_subject"


class EraseForm(ReasonForm):
    """Why, and the person's label once more: nobody erases by a slip of the hand."""

    label = forms.CharField(widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, subject: Subject, **options: Any) -> None:
        super().__init__(*args, **options)
        self._subject = subject
        self.fields["label"].label = f"Type “{subject.label}” to confirm"
        self.fields[
            "reason"
        ].help_text = "Stays in the audit for good: without names or values."

    def clean_label(self) -> str:
        """Accept the label of this person only."""
        said = str(self.cleaned_data["label"]).strip()
        if said != self._subject.label.strip():
            message = "That is not this person's label: nothing was erased."
            raise forms.ValidationError(message)
        return said


def erase(
    admin: ModelAdmin[Any], request: HttpRequest, subject: Subject
) -> HttpResponse:
    """Show what would go, and erase when the label and a reason were posted."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = EraseForm(
        request.POST if request.method == "POST" else None, subject=subject
    )
    if form.is_valid():
        try:
            erasure.erase_subject(
                subject_id=subject.pk,
                actor=request.user.get_username(),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
        except OutboxError as error:
            form.add_error(None, f"Nothing was erased. {error} Try again in seconds.")
        else:
            messages.success(request, "The person is erased; consumers are told.")
            return HttpResponseRedirect(reverse("admin:biometrics_subject_changelist"))
    context = {
        **admin.admin_site.each_context(request),
        "title": f"Erase {subject}",
        "found": erasure.preview(subject_id=subject.pk),
        "form": form,
        "back": reverse("admin:biometrics_subject_change", args=[subject.pk]),
        "command": f'manage.py erase_subject {subject.pk} --reason "…"',
    }
    return TemplateResponse(request, "admin/biometrics/erase.html", context)

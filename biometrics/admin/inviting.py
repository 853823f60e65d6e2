"""Making a link through which a person connects an account."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from biometrics import audit
from biometrics.connections import consent
from biometrics.models import Subject


class InviteForm(forms.Form):
    """Which vendor; only those with a consent page are offered."""

    vendor = forms.ChoiceField(
        choices=consent.consent_vendors, widget=UnfoldAdminSelectWidget
    )


class LinkForm(forms.Form):
    """The finished link, to be copied."""

    link = forms.CharField(
        disabled=True,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Whoever has it connects an account to this person; 48 hours.",
    )


def invite(
    admin: ModelAdmin[Any], request: HttpRequest, subject: Subject
) -> HttpResponse:
    """Ask for the vendor, or show the link for the one that was chosen."""
    form = InviteForm(request.POST or None)
    link = None
    if form.is_valid():
        vendor = form.cleaned_data["vendor"]
        made = consent.make_link(consent.Invitation(subject=subject.id, vendor=vendor))
        link = LinkForm(initial={"link": made})
        audit.note(
            actor=request.user.get_username(),
            verb="connection.invite",
            target=f"subject {subject.id}",
            reason="made a connect link",
            now=timezone.now(),
            detail={"vendor": vendor},
        )
    context = {
        **admin.admin_site.each_context(request),
        "title": f"Connect an account to {subject.label}",
        "form": form,
        "link": link,
        "opts": admin.model._meta,  # noqa: SLF001
    }
    return TemplateResponse(request, "admin/biometrics/invite.html", context)

"""Connecting a person: a link to a vendor's consent, or a token for their phone."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from biometrics import audit, linking
from biometrics.connections import consent, invitations, registry
from biometrics.models import Subject
from biometrics.vendors.registry import all_adapters, get_adapter

_ONCE = "Shown this once and stored as a hash; a token issued before has ended."
_LINK = "Whoever has it connects one account to this person; good for 48 hours, once."
_MAIL = """You are asked to connect your {title} account. Open this link and follow it to
{title}; it is good for 48 hours, and once:

{link}

If you do not know why you got this message, leave it alone: nothing happens.
"""


def _choices() -> list[tuple[str, str]]:
    pushing = [(a.slug, a.title) for a in all_adapters() if a.personal_tokens]
    return [*consent.consent_vendors(), *pushing]


class InviteForm(forms.Form):
    """Which vendor; only those are offered that a link or a token can connect."""

    vendor = forms.ChoiceField(choices=_choices, widget=UnfoldAdminSelectWidget)
    address = forms.EmailField(
        label="Mail the link to",
        required=False,
        help_text="Not kept. Empty: you get the link to copy.",
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not settings.EMAIL_HOST:
            del self.fields["address"]


class CopyForm(forms.Form):
    """Texts to be copied."""

    def __init__(self, texts: list[tuple[str, str]], *, note: str) -> None:
        super().__init__()
        for number, (label, text) in enumerate(texts):
            self.fields[f"text{number}"] = forms.CharField(
                label=label,
                initial=text,
                disabled=True,
                required=False,
                help_text=note if number == 0 else "",
                widget=UnfoldAdminTextInputWidget,
            )


def invite(
    admin: ModelAdmin[Any], request: HttpRequest, subject: Subject
) -> HttpResponse:
    """Ask for the vendor, or show what the chosen one needs."""
    form = InviteForm(request.POST or None)
    made = None
    if form.is_valid():
        vendor = form.cleaned_data["vendor"]
        address = form.cleaned_data.get("address", "")
        is_token = get_adapter(vendor).personal_tokens
        if is_token:
            made = _token(subject, vendor)
        elif address:
            _mail(request, subject, vendor=vendor, address=address)
        else:
            made = CopyForm([("Link", _link(subject, vendor))], note=_LINK)
        audit.note(
            actor=request.user.get_username(),
            verb="connection.token" if is_token else "connection.invite",
            target=audit.of_subject(subject.id),
            reason="issued a personal token" if is_token else "made a connect link",
            now=timezone.now(),
            detail={"vendor": vendor, "mailed": bool(address) and not is_token},
        )
    context = {
        **admin.admin_site.each_context(request),
        "title": f"Connect an account to {subject.label}",
        "form": form,
        "made": made,
    }
    return TemplateResponse(request, "admin/biometrics/invite.html", context)


def _link(subject: Subject, vendor: str) -> str:
    return invitations.make_link(
        invitations.Invitation(subject=subject.id, vendor=vendor)
    )


def _mail(request: HttpRequest, subject: Subject, *, vendor: str, address: str) -> None:
    """Mail the link; tell staff whether the server took it."""
    title, link = get_adapter(vendor).title, _link(subject, vendor)
    try:
        send_mail(
            f"Connect your {title} account",
            _MAIL.format(title=title, link=link),
            settings.DEFAULT_FROM_EMAIL,
            [address],
        )
    except (SMTPException, OSError) as error:
        said = f"The mail was not sent ({type(error).__name__}); copy a link instead."
        messages.error(request, said)
    else:
        messages.success(request, f"The link was mailed to {address}.")


def _token(subject: Subject, vendor: str) -> CopyForm:
    with linking.telling(
        vendor=vendor,
        account_id=str(subject.id),
        reason="staff handed out a token",
        now=timezone.now(),
    ):
        token = registry.issue_personal_token(subject=subject, vendor=vendor)
    filled = [
        (label, text.format(url=settings.PUBLIC_URL, user=subject.id, token=token))
        for label, text in get_adapter(vendor).sender_setup
    ]
    return CopyForm(filled, note=_ONCE)

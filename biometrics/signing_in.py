"""Signing in: with a second factor where somebody has one, locked after wrong passwords,
and out again when nobody is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axes.signals import user_locked_out
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import site
from django.contrib.auth import get_user_model, logout
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django_otp import match_token, user_has_device
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from biometrics import audit, sittings

_LOCKED = 429


class SittingMiddleware:
    """Signs people out who were idle, or signed in, for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let a page be asked for by those whose time is not over."""
        # Elsewhere nobody is signed in: probes of a browser with a session must be
        # answered while the database is away.
        is_staff_page = request.path.startswith(reverse("admin:index"))
        if is_staff_page and request.user.is_authenticated:
            now = timezone.now()
            if sittings.is_over(request.session, now=now):
                logout(request)
                messages.info(request, "You were signed out: your time was over.")
            else:
                sittings.touch(request.session, now=now)
        return self._get_response(request)


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """Name and password, and a code for those who have set up a second factor.

    Everybody is shown the field: the page does not tell who has one.
    """

    otp_token = forms.CharField(
        required=False,
        label="Code of your authenticator app, if you set one up",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "class": " ".join(BASE_INPUT_CLASSES),
                "inputmode": "numeric",
            }
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the code once the password is right."""
        said: dict[str, Any] = super().clean()
        user = self.get_user()
        if user is not None and user_has_device(user):
            # Tries the app, then the recovery codes; each slows down who guesses.
            code = said.get("otp_token", "").replace(" ", "")
            user.otp_device = match_token(user, code) if code else None
            if user.otp_device is None:
                message = "Enter the present code of your app, or a recovery code."
                raise ValidationError(message)
        return said


def locked_out(
    request: HttpRequest, _response: object = None, _credentials: object = None
) -> HttpResponse:
    """Answer a sign-in that comes after too many wrong passwords."""
    context = {
        **site.each_context(request),
        "title": "Locked",
        "minutes": settings.SIGN_IN_LOCKOUT_MINUTES,
        "attempts": settings.SIGN_IN_ATTEMPTS,
    }
    answer = TemplateResponse(request, "admin/locked_out.html", context, status=_LOCKED)
    return answer.render()


@receiver(user_locked_out)
def note_lockout(username: str = "", ip_address: str = "", **_: Any) -> None:
    """Write a lockout into the audit; a name that nobody has may be a password."""
    known = get_user_model().objects.filter(username=username).exists()
    audit.note(
        actor="sign-in",
        verb="staff.locked_out",
        target=f"staff {username}" if known else "an unknown name",
        reason=f"{settings.SIGN_IN_ATTEMPTS} wrong passwords from {ip_address}",
        now=timezone.now(),
    )

"""One's own second factor: an authenticator app, and recovery codes for its loss."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import segno
from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django_otp import devices_for_user, login
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget

from biometrics import audit

PAGE = "admin:auth_user_second_factor"
_CODES = 8


class CodeForm(forms.Form):
    """A present code of the app."""

    code = forms.CharField(
        label="Code of the app",
        max_length=16,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
    )


def second_factor(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show one's own second factor; set it up, renew its codes or end it by a POST."""
    user = request.user
    assert isinstance(user, User)  # admin_view lets nobody else in
    verbs: dict[str, Callable[[], HttpResponse | Sequence[str]]] = {
        "begin": lambda: _begin(user),
        "confirm": lambda: _confirm(request, user),
        "codes": lambda: _renew(request, user),
        "end": lambda: _end(request, user),
    }
    verb = verbs.get(request.POST.get("do", ""))
    done = verb() if request.method == "POST" and verb is not None else []
    if isinstance(done, HttpResponse):
        return done
    return _page(site, request, user, codes=done)


def has_second_factor(user: User) -> bool:
    """Say whether this person signs in with a code."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def forget(user: User) -> None:
    """Let this person sign in without a code."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


def _page(
    site: AdminSite, request: HttpRequest, user: User, *, codes: Sequence[str]
) -> HttpResponse:
    device = TOTPDevice.objects.filter(user=user).order_by("-confirmed").first()
    is_on = device is not None and device.confirmed
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Second factor",
        "is_on": is_on,
        "codes": codes,
        "left": sum(d.token_set.count() for d in _recovery(user)),
        "form": CodeForm(),
    }
    if device is not None and not is_on:
        picture = segno.make(device.config_url, micro=False).svg_data_uri(scale=4)
        secret = base64.b32encode(device.bin_key).decode().rstrip("=")
        context |= {"picture": picture, "secret": secret}
    answer = TemplateResponse(request, "admin/biometrics/second_factor.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _begin(user: User) -> HttpResponse:
    """Make a secret that counts once a code of it was typed."""
    if not has_second_factor(user):
        TOTPDevice.objects.filter(user=user).delete()
        TOTPDevice.objects.create(user=user, name="app", confirmed=False)
    return HttpResponseRedirect(reverse(PAGE))


def _confirm(request: HttpRequest, user: User) -> HttpResponse | Sequence[str]:
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    if device is None or not device.verify_token(_code(request)):
        return _wrong(request)
    with transaction.atomic():
        device.confirmed = True
        device.save()
        codes = _new_codes(user)
        _note(user, verb="staff.second_factor_on", reason="set up by themselves")
    login(request, device)
    _end_other_sessions(request, user)
    messages.success(request, "From now on you sign in with a code as well.")
    return codes


def _renew(request: HttpRequest, user: User) -> HttpResponse | Sequence[str]:
    if not _proves(request, user):
        return _wrong(request)
    with transaction.atomic():
        codes = _new_codes(user)
        _note(user, verb="staff.recovery_codes", reason="renewed by themselves")
    return codes


def _end(request: HttpRequest, user: User) -> HttpResponse:
    if not _proves(request, user):
        return _wrong(request)
    with transaction.atomic():
        forget(user)
        _note(user, verb="staff.second_factor_off", reason="ended by themselves")
    messages.success(request, "You sign in without a code now.")
    return HttpResponseRedirect(reverse(PAGE))


def _proves(request: HttpRequest, user: User) -> bool:
    """Say whether the posted code is of one of the person's confirmed devices."""
    code = _code(request)
    with transaction.atomic():
        devices = devices_for_user(user, for_verify=True)
        return any(device.verify_token(code) for device in devices)


def _code(request: HttpRequest) -> str:
    return request.POST.get("code", "").replace(" ", "")


def _wrong(request: HttpRequest) -> HttpResponse:
    messages.error(request, "That is not the present code: nothing was changed.")
    return HttpResponseRedirect(reverse(PAGE))


def _recovery(user: User) -> Sequence[StaticDevice]:
    return list(StaticDevice.objects.filter(user=user))


def _new_codes(user: User) -> Sequence[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [secrets.token_hex(5) for _ in range(_CODES)]
    for code in codes:
        device.token_set.create(token=code)
    return codes


def _end_other_sessions(request: HttpRequest, user: User) -> None:
    """End what was signed in without a code."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()):
        is_mine = session.get_decoded().get("_auth_user_id") == str(user.pk)
        if is_mine and session.session_key != request.session.session_key:
            session.delete()


def _note(user: User, *, verb: str, reason: str) -> None:
    audit.note(
        actor=user.get_username(),
        verb=verb,
        target=f"staff {user.get_username()}",
        reason=reason,
        now=timezone.now(),
    )

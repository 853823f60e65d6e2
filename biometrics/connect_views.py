"""The pages of a person who connects an account: invited, sent on, come back."""

from __future__ import annotations

import asyncio
import logging

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from biometrics import linking
from biometrics.connections import consent, invitations
from biometrics.connections.invitations import ConsentError
from biometrics.connections.registry import LinkError
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    UnknownVendorError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.registry import get_adapter

logger = logging.getLogger(__name__)

_COOKIE = "auren_connect"
_STATUS: dict[type[BiometricsError], int] = {
    ConsentError: 400,
    UnknownVendorError: 404,
    LinkError: 409,
    VendorRefusedError: 400,
    VendorUnavailableError: 503,
    ConfigurationError: 503,
}


@never_cache
@require_GET
def invite(request: HttpRequest, token: str) -> HttpResponse:
    """Say what will be asked. Opening it begins nothing, for mail readers open links."""
    try:
        invitation = invitations.read_link(token)
        context = {
            "title": get_adapter(invitation.vendor).title,
            "scopes": consent.scopes_of(invitation.vendor),
            "token": token,
        }
    except BiometricsError as error:
        return _sorry(request, error)
    return render(request, "biometrics/connect.html", context)


@never_cache
@require_GET
def start(request: HttpRequest, token: str) -> HttpResponse:
    """Send the browser to the vendor, and remember in it what was begun."""
    try:
        invitation = invitations.read_link(token)
        departure = asyncio.run(consent.begin(invitation, now=timezone.now))
    except BiometricsError as error:
        return _sorry(request, error)
    response = HttpResponseRedirect(departure.url)
    response.set_cookie(
        _COOKIE,
        departure.ticket,
        max_age=int(invitations.STATE_LIFE.total_seconds()),
        path="/connect/",
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return response


@never_cache
@require_GET
def callback(request: HttpRequest, vendor: str) -> HttpResponse:
    """Take what the vendor sent the browser back with."""
    query = request.META.get("QUERY_STRING", "")
    url = f"{invitations.redirect_uri(vendor)}?{query}"
    try:
        ticket = request.COOKIES.get(_COOKIE, "")
        journey = consent.arrive(vendor=vendor, url=url, ticket=ticket)
        given = asyncio.run(consent.finish(journey, url=url, now=timezone.now))
        connection = linking.store_consent(given, now=timezone.now())
    except BiometricsError as error:
        return _sorry(request, error)
    context = {
        "title": get_adapter(vendor).title,
        "is_done": True,
        "missing": consent.missing_scopes(vendor, connection.scopes),
    }
    response = render(request, "biometrics/connect.html", context)
    response.delete_cookie(_COOKIE, path="/connect/")
    return response


def _sorry(request: HttpRequest, error: BiometricsError) -> HttpResponse:
    status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), 503)
    logger.warning("consent.refused", extra={"reason": type(error).__name__})
    # What a missing setting is called is no business of the person in front of it.
    is_ours = isinstance(error, ConfigurationError) or not isinstance(
        error, tuple(_STATUS)
    )
    told = "Not available at the moment." if is_ours else str(error)
    context = {"problem": told}
    return render(request, "biometrics/connect.html", context, status=status)

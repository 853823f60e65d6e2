"""Consent by OAuth 2, with `state`, and PKCE where the vendor takes it.

The verifier is derived from the journey's nonce and our own key, so nothing is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from biometrics.connections.access import base_of
from biometrics.connections.exchange import ask, open_http
from biometrics.connections.grants import NewTokens
from biometrics.connections.guard import Guard
from biometrics.connections.invitations import ConsentError, Journey, redirect_uri
from biometrics.connections.refresh import endpoint_of
from biometrics.connections.token_answers import read_tokens, scopes_in
from biometrics.errors import UnreadableDeliveryError, VendorUnavailableError
from biometrics.vendors.api_spec import ApiSpec, ConsentSpec
from biometrics.vendors.fields import load_object, text
from biometrics.vendors.registry import get_adapter


def page_of(
    journey: Journey, *, spec: ApiSpec, consent: ConsentSpec, scopes: tuple[str, ...]
) -> str:
    """Return the address of the vendor's page; raises ConfigurationError."""
    vendor = journey.invitation.vendor
    base = base_of(slug=vendor, spec=spec)
    client_id = endpoint_of(slug=vendor, spec=spec, base=base).client_id
    host = consent.base if base == spec.base else base
    url: str = WebApplicationClient(client_id).prepare_request_uri(
        host + consent.path,
        redirect_uri=redirect_uri(vendor),
        scope=list(scopes),
        state=journey.state,
        **(_challenge(journey.nonce) if consent.pkce else {}),
    )
    return url


async def finish(
    journey: Journey,
    *,
    spec: ApiSpec,
    consent: ConsentSpec,
    url: str,
    now: Callable[[], datetime],
) -> tuple[str, NewTokens]:
    """Turn the vendor's answer into a grant; return whose account it is, and the grant.

    `url` is the whole address to which the vendor sent the browser. Raises ConsentError,
    VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    vendor = journey.invitation.vendor
    base = base_of(slug=vendor, spec=spec)
    endpoint = endpoint_of(slug=vendor, spec=spec, base=base)
    client = WebApplicationClient(endpoint.client_id)
    try:
        code = client.parse_request_uri_response(url, state=journey.state)["code"]
    except OAuth2Error as error:
        message = f"{get_adapter(vendor).title} gave no consent ({error.error})."
        raise ConsentError(message) from None
    form = client.prepare_request_body(
        code=code,
        redirect_uri=redirect_uri(vendor),
        client_secret=endpoint.client_secret,
        **({"code_verifier": _verifier(journey.nonce)} if consent.pkce else {}),
    )
    asked_at, guard = now(), Guard(slug=vendor, spec=spec, now=now)
    async with open_http() as http:
        answer = await ask(http, "POST", endpoint.url, guard=guard, form=form)
        new = read_tokens(answer, asked_at=asked_at)
        if not new.scopes:
            # Oura names what was granted where it sends the browser back.
            new = replace(new, scopes=scopes_in(_query(url).get("scope")))
        profile = await ask(
            http,
            "GET",
            base + spec.prefix + consent.account_path,
            guard=guard,
            headers={"Authorization": f"Bearer {new.access_token}"},
        )
    return _account(profile, field=consent.account_field), new


def _query(url: str) -> Mapping[str, str]:
    parsed = parse_qs(urlsplit(url).query)
    return {name: values[0] for name, values in parsed.items()}


def _challenge(nonce: str) -> Mapping[str, str]:
    digest = hashlib.sha256(_verifier(nonce).encode()).digest()
    return {
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }


def _verifier(nonce: str) -> str:
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, f"pkce:{nonce}".encode(), hashlib.sha256).hexdigest()


def _account(profile: bytes, *, field: str) -> str:
    try:
        account = text(load_object(profile), field)
    except UnreadableDeliveryError:
        account = None
    if account is None:
        raise VendorUnavailableError("The vendor did not say whose account it is.")
    return account

"""A person's consent at a vendor: the link that asks for it, the code that proves it.

OAuth 2 with `state` and PKCE. Nothing is stored before the vendor has said yes: link and
state are signed, and the verifier is derived from the state's nonce and our own key. The
nonce also lies in a cookie of the browser that began, so that nobody can finish what
somebody else began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import aiohttp
import orjson
from django.conf import settings
from django.core import signing
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from biometrics.connections.grants import NewTokens
from biometrics.connections.refresh import endpoint_of
from biometrics.errors import (
    BiometricsError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.base import ApiSpec, ConsentSpec
from biometrics.vendors.registry import all_adapters, get_adapter

LINK_LIFE = timedelta(hours=48)
# The vendor's page must be done with by then; codes live ten minutes at most.
STATE_LIFE = timedelta(minutes=30)
_LINK, _STATE = "auren.connect.link", "auren.connect.state"
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_MAX_ANSWER = 256 * 1024


class ConsentError(BiometricsError):
    """The consent cannot be taken; the message is for the person in front of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Whom a link asks, and for which vendor."""

    subject: UUID
    vendor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where the browser goes, and what it must bring back in a cookie."""

    url: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the vendor gave: whose account it is and what it may be called with."""

    invitation: Invitation
    account_id: str
    new: NewTokens


def consent_vendors() -> list[tuple[str, str]]:
    """Return (slug, title) of the vendors to which a link can lead."""
    return [
        (a.slug, a.title)
        for a in all_adapters()
        if a.api is not None and a.api.consent is not None
    ]


def make_link(invitation: Invitation) -> str:
    """Return the address that asks this person; good for LINK_LIFE."""
    token = signing.dumps(
        {"s": str(invitation.subject), "v": invitation.vendor}, salt=_LINK
    )
    return f"{settings.PUBLIC_URL}/connect/{token}"


def read_link(token: str) -> Invitation:
    """Return whom a link asks; raises ConsentError when it is forged or too old."""
    said = _signed(token, salt=_LINK, life=LINK_LIFE)
    return Invitation(subject=UUID(said["s"]), vendor=said["v"])


def scopes_of(vendor: str) -> tuple[str, ...]:
    """Return what is asked for."""
    return _parts(vendor)[1].scopes


def begin(invitation: Invitation) -> Departure:
    """Return the vendor's consent page with a state of this link; ConfigurationError."""
    spec, consent = _parts(invitation.vendor)
    base = _base(invitation.vendor, spec)
    client_id = endpoint_of(slug=invitation.vendor, spec=spec, base=base).client_id
    nonce = secrets.token_urlsafe(24)
    state = signing.dumps(
        {"s": str(invitation.subject), "v": invitation.vendor, "n": nonce}, salt=_STATE
    )
    host = consent.base if base == spec.base else base
    digest = hashlib.sha256(_verifier(nonce).encode()).digest()
    url = WebApplicationClient(client_id).prepare_request_uri(
        host + consent.path,
        redirect_uri=redirect_uri(invitation.vendor),
        scope=list(consent.scopes),
        state=state,
        code_challenge=base64.urlsafe_b64encode(digest).decode().rstrip("="),
        code_challenge_method="S256",
    )
    return Departure(url=url, nonce=nonce)


async def finish(
    *, vendor: str, url: str, cookie: str, now: Callable[[], datetime]
) -> Consent:
    """Turn the vendor's answer into a grant and learn whose it is.

    `url` is the whole address to which the vendor sent the browser. Raises ConsentError,
    VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    spec, consent = _parts(vendor)
    base = _base(vendor, spec)
    endpoint = endpoint_of(slug=vendor, spec=spec, base=base)
    client = WebApplicationClient(endpoint.client_id)
    invitation, nonce, state = _state_in(url, vendor=vendor, cookie=cookie)
    try:
        code = client.parse_request_uri_response(url, state=state)["code"]
    except OAuth2Error as error:
        message = f"{get_adapter(vendor).title} gave no consent ({error.error})."
        raise ConsentError(message) from None
    form = client.prepare_request_body(
        code=code,
        redirect_uri=redirect_uri(vendor),
        client_secret=endpoint.client_secret,
        code_verifier=_verifier(nonce),
    )
    asked_at = now()
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        text = await _ask(http, "POST", endpoint.url, data=form)
        new = _tokens(client, text, asked_at=asked_at)
        headers = {"Authorization": f"Bearer {new.access_token}"}
        address = base + spec.prefix + consent.account_path
        profile = await _ask(http, "GET", address, headers=headers)
    return Consent(
        invitation=invitation,
        account_id=_account(profile, field=consent.account_field),
        new=new,
    )


def redirect_uri(vendor: str) -> str:
    """Return our address that is registered with the vendor."""
    return f"{settings.PUBLIC_URL}/connect/{vendor}/callback"


def missing_scopes(vendor: str, granted: str) -> list[str]:
    """Return what was asked for and not granted; a silent vendor granted everything."""
    got = set(granted.split())
    return [one for one in scopes_of(vendor) if got and one not in got]


def _state_in(url: str, *, vendor: str, cookie: str) -> tuple[Invitation, str, str]:
    state = parse_qs(urlsplit(url).query).get("state", [""])[0]
    said = _signed(state, salt=_STATE, life=STATE_LIFE)
    is_same = hmac.compare_digest(cookie.encode(), said["n"].encode())
    if said["v"] != vendor or not is_same:
        raise ConsentError("This answer belongs to another browser or vendor.")
    return Invitation(subject=UUID(said["s"]), vendor=vendor), said["n"], state


def _signed(token: str, *, salt: str, life: timedelta) -> dict[str, str]:
    try:
        said: dict[str, str] = signing.loads(token, salt=salt, max_age=life)
    except signing.SignatureExpired:
        raise ConsentError("This link has expired; ask for a new one.") from None
    except signing.BadSignature:
        raise ConsentError("This link is not valid; ask for a new one.") from None
    return said


def _parts(vendor: str) -> tuple[ApiSpec, ConsentSpec]:
    spec = get_adapter(vendor).api
    if spec is None or spec.consent is None:
        message = f"{vendor} has no consent page to link to."
        raise ConsentError(message)
    return spec, spec.consent


def _base(vendor: str, spec: ApiSpec) -> str:
    configured: str = settings.AUREN_VENDORS.get(vendor, {}).get("api_base", "")
    return configured or spec.base


def _verifier(nonce: str) -> str:
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, f"pkce:{nonce}".encode(), hashlib.sha256).hexdigest()


async def _ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: str | None = None,
    headers: dict[str, str] | None = None,
) -> str:
    form = {"Content-Type": "application/x-www-form-urlencoded"} if data else {}
    try:
        async with http.request(
            method,
            url,
            data=data,
            headers={**form, **(headers or {})},
            allow_redirects=False,
        ) as answer:
            body = await answer.content.read(_MAX_ANSWER)
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"The vendor cannot be reached ({type(error).__name__})."
        raise VendorUnavailableError(message) from error
    if answer.status >= 500 or answer.status == 429:
        message = f"The vendor answered {answer.status}."
        raise VendorUnavailableError(message)
    if answer.status != 200:
        message = f"The vendor refused the consent's code or token ({answer.status})."
        raise VendorRefusedError(message, status=answer.status, permanent=True)
    return body.decode(errors="replace")


def _tokens(
    client: WebApplicationClient, text: str, *, asked_at: datetime
) -> NewTokens:
    try:
        answer = client.parse_request_body_response(text)
    except (OAuth2Error, ValueError):
        raise VendorUnavailableError("The vendor gave no usable token.") from None
    life = answer.get("expires_in")
    known = isinstance(life, int | float) and not isinstance(life, bool)
    said = answer.get("scope") or ""
    return NewTokens(
        access_token=str(answer["access_token"]),
        refresh_token=answer.get("refresh_token") or None,
        expires_at=asked_at + timedelta(seconds=float(life)) if known else None,
        scopes=" ".join(said) if isinstance(said, list) else str(said),
    )


def _account(profile: str, *, field: str) -> str:
    try:
        account = orjson.loads(profile)[field]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        account = None
    if isinstance(account, bool) or not isinstance(account, str | int) or account == "":
        raise VendorUnavailableError("The vendor did not say whose account it is.")
    return str(account)

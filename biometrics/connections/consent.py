"""A person's consent at a vendor, from the link that asks for it to what it brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from biometrics.connections import hosted, invitations, oauth
from biometrics.connections.grants import NewTokens
from biometrics.connections.invitations import ConsentError, Invitation, Journey
from biometrics.vendors.api_spec import ApiSpec, ConsentSpec, HostedConsent
from biometrics.vendors.registry import all_adapters, get_adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where the browser goes, and what it must bring back in a cookie."""

    url: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the vendor gave: whose account it is and what it may be called with.

    Without `new` the application itself may call for the account. `reference` is our id
    of the person as the vendor echoes it.
    """

    invitation: Invitation
    account_id: str
    new: NewTokens | None = None
    scopes: str = ""
    reference: str = ""


def consent_vendors() -> list[tuple[str, str]]:
    """Return (slug, title) of the vendors to which a link can lead."""
    return [
        (a.slug, a.title)
        for a in all_adapters()
        if a.api is not None and a.api.consent is not None
    ]


def scopes_of(vendor: str) -> tuple[str, ...]:
    """Return what is asked for: AUREN_<SLUG>_SCOPES, else what the adapter names.

    Empty where people choose on the vendor's own page.
    """
    _, consent = _parts(vendor)
    if not isinstance(consent, ConsentSpec):
        return ()
    wanted: list[str] = settings.AUREN_VENDORS.get(vendor, {}).get("scopes", [])
    return tuple(wanted) or consent.scopes


def missing_scopes(vendor: str, granted: str) -> list[str]:
    """Return what was asked for and not granted; a silent vendor granted everything."""
    specs = [adapter.api for adapter in all_adapters() if adapter.slug == vendor]
    consent = specs[0].consent if specs and specs[0] is not None else None
    if not granted or not isinstance(consent, ConsentSpec):
        return []
    newer = consent.renamed
    got = {newer.get(one, one) for one in granted.split()}
    return [one for one in scopes_of(vendor) if newer.get(one, one) not in got]


async def begin(invitation: Invitation, *, now: Callable[[], datetime]) -> Departure:
    """Return the vendor's consent page for this invitation.

    Raises ConsentError, VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    spec, consent = _parts(invitation.vendor)
    journey = invitations.depart(invitation)
    if isinstance(consent, ConsentSpec):
        scopes = scopes_of(invitation.vendor)
        url = oauth.page_of(journey, spec=spec, consent=consent, scopes=scopes)
    else:
        url = await hosted.page_of(journey, spec=spec, consent=consent, now=now)
    return Departure(url=url, ticket=journey.ticket)


def arrive(*, vendor: str, url: str, ticket: str) -> Journey:
    """Return the journey whose browser has come back to `url`; spends nothing.

    Raises ConsentError, also where the link was used: what the vendor gave for nothing
    could not be kept.
    """
    state = parse_qs(urlsplit(url).query).get("state", [""])[0]
    journey = invitations.arrive(state=state, vendor=vendor, ticket=ticket)
    invitations.check_unused(journey.invitation)
    return journey


async def finish(journey: Journey, *, url: str, now: Callable[[], datetime]) -> Consent:
    """Turn what the browser came back with into what the vendor gave.

    `url` is the whole address to which the vendor sent the browser. Raises ConsentError,
    VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    spec, consent = _parts(journey.invitation.vendor)
    if isinstance(consent, ConsentSpec):
        account, new = await oauth.finish(
            journey, spec=spec, consent=consent, url=url, now=now
        )
        return Consent(
            invitation=journey.invitation,
            account_id=account,
            new=new,
            scopes=new.scopes,
        )
    account, holder = await hosted.finish(
        journey, spec=spec, consent=consent, url=url, now=now
    )
    return Consent(
        invitation=journey.invitation,
        account_id=account,
        scopes=holder.scopes,
        reference=holder.reference,
    )


def _parts(vendor: str) -> tuple[ApiSpec, ConsentSpec | HostedConsent]:
    spec = get_adapter(vendor).api
    if spec is None or spec.consent is None:
        message = f"{vendor} has no consent page to link to."
        raise ConsentError(message)
    return spec, spec.consent

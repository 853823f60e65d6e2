"""Consent on a page that the vendor makes for one person; no tokens come of it.

The browser names the account that was connected. It is taken only when the vendor says
that it belongs to the person whom the link was made for.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from biometrics.connections.access import application_headers, base_of
from biometrics.connections.exchange import ask, open_http
from biometrics.connections.guard import Guard
from biometrics.connections.invitations import ConsentError, Journey, redirect_uri
from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.api_spec import ApiSpec, Holder, HostedConsent
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.subscriptions import Call


async def page_of(
    journey: Journey,
    *,
    spec: ApiSpec,
    consent: HostedConsent,
    now: Callable[[], datetime],
) -> str:
    """Have the vendor make a page and return its address.

    Raises VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    vendor = journey.invitation.vendor
    back = f"{redirect_uri(vendor)}?{urlencode({'state': journey.state})}"
    call = consent.opening(reference=str(journey.invitation.subject), back=back)
    try:
        return consent.page_in(await _call(call, vendor=vendor, spec=spec, now=now))
    except UnreadableDeliveryError as error:
        message = f"The vendor made no page ({error})."
        raise VendorUnavailableError(message) from None


async def finish(
    journey: Journey,
    *,
    spec: ApiSpec,
    consent: HostedConsent,
    url: str,
    now: Callable[[], datetime],
) -> tuple[str, Holder]:
    """Return the account that the person connected and what the vendor says of it.

    Raises ConsentError, VendorUnavailableError, ConfigurationError.
    """
    vendor = journey.invitation.vendor
    query: Mapping[str, str] = {
        name: values[0] for name, values in parse_qs(urlsplit(url).query).items()
    }
    account = consent.account_in(query)
    if account is None:
        message = f"{get_adapter(vendor).title} was not connected; open the link again."
        raise ConsentError(message)
    try:
        call = consent.asking_whose(account)
        answer = await _call(call, vendor=vendor, spec=spec, now=now)
        holder = consent.holder_in(answer)
    except VendorRefusedError:
        message = f"{get_adapter(vendor).title} does not know this account."
        raise ConsentError(message) from None
    except UnreadableDeliveryError as error:
        message = f"The vendor did not say whose account it is ({error})."
        raise VendorUnavailableError(message) from None
    mine = str(journey.invitation.subject)
    if not hmac.compare_digest(holder.reference.encode(), mine.encode()):
        raise ConsentError("This account was connected through another link.")
    return account, holder


async def _call(
    call: Call, *, vendor: str, spec: ApiSpec, now: Callable[[], datetime]
) -> bytes:
    headers = application_headers(slug=vendor, spec=spec)
    address = base_of(slug=vendor, spec=spec) + spec.prefix + call.path
    guard = Guard(slug=vendor, spec=spec, now=now)
    async with open_http() as http:
        return await ask(
            http,
            call.method,
            address,
            guard=guard,
            payload=call.payload,
            headers=headers,
        )

"""Links that ask a person to connect, and what is remembered on the way to a vendor.

Both are signed; nothing is stored before the vendor has said yes. A link connects once:
using it is a row that can be written once. The journey lies in a cookie of the browser
that began, and the vendor sends back the `state` that belongs to it, so that nobody can
finish what somebody else began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.core import signing

from biometrics.errors import BiometricsError
from biometrics.models import UsedLink

LINK_LIFE = timedelta(hours=48)
# The vendor's page must be done with by then; codes live ten minutes at most.
STATE_LIFE = timedelta(minutes=30)
_LINK, _STATE = "auren.connect.link", "auren.connect.state"
_USED = "This link was used already; ask for a new one."


class ConsentError(BiometricsError):
    """The consent cannot be taken; the message is for the person in front of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Whom a link asks, and for which vendor; `link_id` tells it from other links."""

    subject: UUID
    vendor: str
    link_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """An invitation whose browser is on its way; `state` goes along, `ticket` stays."""

    invitation: Invitation
    nonce: str
    ticket: str
    state: str


def make_link(invitation: Invitation) -> str:
    """Return the address that asks this person; good for LINK_LIFE, and once."""
    token = signing.dumps(_written(invitation), salt=_LINK)
    return f"{settings.PUBLIC_URL}/connect/{token}"


def read_link(token: str) -> Invitation:
    """Return whom a link asks; ConsentError when it is forged, too old or used."""
    invitation = _read(_signed(token, salt=_LINK, life=LINK_LIFE))
    check_unused(invitation)
    return invitation


def check_unused(invitation: Invitation) -> None:
    """Raise ConsentError when the link was used."""
    if UsedLink.objects.filter(link_id=invitation.link_id).exists():
        raise ConsentError(_USED)


def use(invitation: Invitation, *, now: datetime) -> None:
    """Spend the link, in the transaction that stores what it brought.

    Raises ConsentError when it was spent before.
    """
    _, is_first = UsedLink.objects.get_or_create(
        link_id=invitation.link_id, defaults={"used_at": now}
    )
    if not is_first:
        raise ConsentError(_USED)


def forget_used(*, now: datetime) -> int:
    """Forget the links that are too old to be opened anyway; return how many."""
    old = UsedLink.objects.filter(used_at__lt=now - LINK_LIFE - STATE_LIFE)
    return old.delete()[0]


def depart(invitation: Invitation) -> Journey:
    """Return a new journey."""
    nonce = secrets.token_urlsafe(24)
    ticket = signing.dumps({**_written(invitation), "n": nonce}, salt=_STATE)
    return Journey(
        invitation=invitation,
        nonce=nonce,
        ticket=ticket,
        state=_state_of(ticket, vendor=invitation.vendor),
    )


def arrive(*, state: str, vendor: str, ticket: str) -> Journey:
    """Return the journey that comes to its end here.

    Raises ConsentError when it began too long ago, in another browser, or elsewhere.
    """
    said = _signed(ticket, salt=_STATE, life=STATE_LIFE)
    mine = _state_of(ticket, vendor=vendor)
    is_same = hmac.compare_digest(state.encode(), mine.encode())
    if said["v"] != vendor or not is_same:
        raise ConsentError("This answer belongs to another browser or vendor.")
    return Journey(invitation=_read(said), nonce=said["n"], ticket=ticket, state=state)


def redirect_uri(vendor: str) -> str:
    """Return our address that is registered with the vendor."""
    return f"{settings.PUBLIC_URL}/connect/{vendor}/callback"


def _state_of(ticket: str, *, vendor: str) -> str:
    """Return what the vendor sends back, as long as AUREN_<SLUG>_STATE_LENGTH says."""
    message = f"state:{vendor}:{ticket}".encode()
    digest = hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).digest()
    length: int = settings.AUREN_VENDORS.get(vendor, {}).get("state_length", 0)
    text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return text[:length] if length else text


def _written(invitation: Invitation) -> dict[str, str]:
    return {
        "s": str(invitation.subject),
        "v": invitation.vendor,
        "i": str(invitation.link_id),
    }


def _read(said: dict[str, str]) -> Invitation:
    return Invitation(
        subject=UUID(said["s"]), vendor=said["v"], link_id=UUID(said["i"])
    )


def _signed(token: str, *, salt: str, life: timedelta) -> dict[str, str]:
    try:
        said: dict[str, str] = signing.loads(token, salt=salt, max_age=life)
    except signing.SignatureExpired:
        raise ConsentError("This link has expired; ask for a new one.") from None
    except signing.BadSignature:
        raise ConsentError("This link is not valid; ask for a new one.") from None
    # A link of an earlier release has no id, so it cannot be told from a used one.
    if "i" not in said:
        raise ConsentError("This link is not valid any more; ask for a new one.")
    return said

"""Sessions of apps on people's phones: short access tokens, refresh tokens used once.

An app proves itself by the application's id and secret and speaks for one person from
then on. Only digests are kept. A session ends with its connection's tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from biometrics.errors import (
    ConfigurationError,
    SignatureError,
    UnknownAccountError,
)
from biometrics.models import PhoneSession, VendorConnection
from biometrics.models.people import ConnectionStatus

ACCESS_LIFE = timedelta(hours=1)
# Phones of one person, and sign-ins that were forgotten: the oldest makes room.
_MOST_SESSIONS = 10
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What an app gets, this once: nobody can read it again."""

    access_token: str
    refresh_token: str


def sign_in(
    *, vendor: str, account_id: str, app_id: str, app_secret: str, now: datetime
) -> Pair:
    """Begin a session for this account.

    Raises SignatureError for wrong credentials, UnknownAccountError for an account that
    staff did not connect, ConfigurationError while the application has no secret.
    """
    _prove_app(vendor, app_id=app_id, app_secret=app_secret)
    with transaction.atomic():
        connection = (
            VendorConnection.objects.select_for_update(no_key=True)
            # No stored text has a NUL, and PostgreSQL takes none in a question.
            .filter(vendor=vendor, account_id=account_id.replace("\0", "\ufffd"))
            .exclude(status=ConnectionStatus.REVOKED)
            .first()
        )
        if connection is None:
            message = (
                "Nobody is connected under this user id; connect the person first."
            )
            raise UnknownAccountError("unknown_user", message)
        mine = PhoneSession.objects.filter(connection=connection).order_by("-id")
        kept = list(mine.values_list("id", flat=True)[: _MOST_SESSIONS - 1])
        mine.exclude(id__in=kept).delete()
        pair = _new_pair()
        PhoneSession.objects.create(
            connection=connection,
            access_sha256=digest_of(pair.access_token),
            access_until=now + ACCESS_LIFE,
            refresh_sha256=digest_of(pair.refresh_token),
        )
    return pair


def renew(*, refresh_token: str, now: datetime) -> Pair:
    """Return a new pair; both tokens of the old one have ended.

    Raises SignatureError when the token was used before, revoked, or never ours: of two
    that renew at once, one gets it.
    """
    pair = _new_pair()
    spent = PhoneSession.objects.filter(refresh_sha256=digest_of(refresh_token)).update(
        access_sha256=digest_of(pair.access_token),
        access_until=now + ACCESS_LIFE,
        refresh_sha256=digest_of(pair.refresh_token),
        renewed_at=now,
    )
    if not spent:
        message = "The refresh token was used or revoked; sign in again."
        raise SignatureError("unknown_token", message)
    return pair


def end(*, refresh_token: str) -> None:
    """End the session of this refresh token, if there is one."""
    PhoneSession.objects.filter(refresh_sha256=digest_of(refresh_token)).delete()


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _new_pair() -> Pair:
    return Pair(
        access_token=secrets.token_urlsafe(_TOKEN_BYTES),
        refresh_token=secrets.token_urlsafe(_TOKEN_BYTES),
    )


def _prove_app(vendor: str, *, app_id: str, app_secret: str) -> None:
    known = settings.AUREN_VENDORS.get(vendor, {})
    if not (known.get("client_id") and known.get("client_secret")):
        name = f"AUREN_{vendor.upper()}"
        message = f"{name}_CLIENT_ID and {name}_CLIENT_SECRET are not set."
        raise ConfigurationError(message)
    pairs = (app_id, known["client_id"]), (app_secret, known["client_secret"])
    # Both are compared, so the time taken does not tell which one was wrong.
    same = [hmac.compare_digest(digest_of(a), digest_of(b)) for a, b in pairs]
    if not all(same):
        raise SignatureError("bad_credentials", "The app id or secret is wrong.")

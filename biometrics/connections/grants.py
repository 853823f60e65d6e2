"""A connection's tokens as its calls need them, and who may renew them.

Refresh tokens of several vendors work once. Who spends one claims the row first, so that
of all processes one does, and stores what it got before anybody uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Q

from biometrics.connections import tokens
from biometrics.models import VendorConnection
from biometrics.models.people import ConnectionStatus

# Longer than any call to a token endpoint may take.
CLAIM_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a connection may call with. Never printed: it holds secrets."""

    connection_id: int
    access_token: str = field(repr=False)
    expires_at: datetime | None
    renewable: bool

    def expires_within(self, seconds: float, *, now: datetime) -> bool:
        """Say whether the token will have run out by then; unknown is no."""
        if self.expires_at is None:
            return False
        return self.expires_at <= now + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTokens:
    """The tokens of a connection as its row held them, encrypted.

    Equal bytes are the same grant: every consent and every renewal writes other ones.
    """

    connection_id: int
    access_token: bytes | None = field(repr=False)
    refresh_token: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshClaim:
    """The right to spend this refresh token, until `CLAIM_SECONDS` are over."""

    claim: UUID
    refresh_token: str = field(repr=False)
    stored: StoredTokens

    @property
    def connection_id(self) -> int:
        """Return whose refresh token it is."""
        return self.stored.connection_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """What a token endpoint gave; no refresh token means that the old one stays."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False, default=None)
    expires_at: datetime | None = None
    scopes: str = ""


def grant_of(connection: VendorConnection) -> Grant | None:
    """Return the grant of a connection, None when it has no access token.

    Raises ConfigurationError when the token cannot be opened.
    """
    if connection.access_token is None:
        return None
    return Grant(
        connection_id=connection.id,
        access_token=tokens.decrypt(connection.access_token),
        expires_at=connection.token_expires_at,
        renewable=connection.refresh_token is not None,
    )


def stored_of(connection: VendorConnection) -> StoredTokens:
    """Return the tokens of a row as it was loaded."""
    return StoredTokens(
        connection_id=connection.id,
        access_token=_bytes(connection.access_token),
        refresh_token=_bytes(connection.refresh_token),
    )


def claim_refresh(*, connection_id: int, now: datetime) -> RefreshClaim | None:
    """Claim the refresh token; None when another process has claimed it."""
    claim = uuid4()
    free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lte=now)
    claimed = VendorConnection.objects.filter(
        free, id=connection_id, refresh_token__isnull=False
    ).update(
        refresh_claim=claim,
        refresh_claimed_until=now + timedelta(seconds=CLAIM_SECONDS),
    )
    if not claimed:
        return None
    row = VendorConnection.objects.get(id=connection_id)
    return RefreshClaim(
        claim=claim,
        refresh_token=tokens.decrypt(row.refresh_token or b""),
        stored=stored_of(row),
    )


def store_renewed(*, claim: RefreshClaim, new: NewTokens) -> bool:
    """Keep what the vendor gave for the claimed refresh token; False when too late.

    The stored refresh token must still be the spent one: tokens of a newer consent are
    not overwritten. That, not the claim, decides, since the spent one is worthless.
    """
    changes: dict[str, object] = {
        "access_token": tokens.encrypt(new.access_token),
        "token_expires_at": new.expires_at,
        "refresh_claim": None,
        "refresh_claimed_until": None,
    }
    if new.refresh_token is not None:
        changes["refresh_token"] = tokens.encrypt(new.refresh_token)
    if new.scopes:
        changes["scopes"] = new.scopes[:500]
    mine = VendorConnection.objects.filter(
        id=claim.connection_id, refresh_token=claim.stored.refresh_token
    )
    return bool(mine.update(**changes))


def release(*, claim: RefreshClaim) -> None:
    """Give the claim back: the vendor could not be asked."""
    VendorConnection.objects.filter(
        id=claim.connection_id, refresh_claim=claim.claim
    ).update(refresh_claim=None, refresh_claimed_until=None)


def mark_needs_reconnect(*, stored: StoredTokens, reason: str) -> bool:
    """Stop fetching for a connection until the person consents again.

    Only while the row still holds `stored`, the tokens that proved to be worth nothing.
    False when nothing changed: it is not active any more, or was connected again or
    renewed meanwhile.
    """
    mine = VendorConnection.objects.filter(
        id=stored.connection_id,
        status=ConnectionStatus.ACTIVE,
        access_token=stored.access_token,
        refresh_token=stored.refresh_token,
    )
    return bool(
        mine.update(
            status=ConnectionStatus.NEEDS_RECONNECT,
            status_reason=reason[:300],
            refresh_claim=None,
            refresh_claimed_until=None,
        )
    )


def _bytes(data: bytes | memoryview | None) -> bytes | None:
    return None if data is None else bytes(data)

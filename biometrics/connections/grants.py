"""A connection's tokens as its calls need them, and who may renew them.

Refresh tokens of several vendors work once. Who spends one claims the row first, so that
of all processes one does, and stores what it got before anybody uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Case, F, Q, QuerySet, Value, When

from biometrics.connections import tokens
from biometrics.models import VendorConnection
from biometrics.models.people import ConnectionStatus

# Far longer than a call to a token endpoint and the storing of its answer take. A second
# use of a refresh token can cost the first user's grant, so a holder that is only slow
# must not be taken for a dead one.
CLAIM_SECONDS = 120.0
# Stands for the claim of whoever asked and never learned of the answer.
_LOST = UUID(int=0)


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
    """The right to spend this refresh token, until `CLAIM_SECONDS` are over.

    `after_loss` says that it may be spent already: who claimed it before asked the
    vendor and never stored an answer.
    """

    claim: UUID
    refresh_token: str = field(repr=False)
    stored: StoredTokens
    after_loss: bool

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


def pause_of(connection: VendorConnection, *, now: datetime) -> float | None:
    """Return for how long nobody may try to renew, after a try that brought nothing."""
    until = connection.refresh_claimed_until
    if until is None or until <= now or connection.refresh_claim not in {None, _LOST}:
        return None
    return (until - now).total_seconds()


def claim_refresh(
    connection: VendorConnection, *, now: datetime
) -> RefreshClaim | None:
    """Claim the refresh token of a row as it was loaded.

    None when somebody has claimed it, or the row holds something else by now.
    """
    stored, claim = stored_of(connection), uuid4()
    if stored.refresh_token is None:
        return None
    refresh_token = tokens.decrypt(stored.refresh_token)
    free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lte=now)
    claimed = _holding(stored).filter(free, refresh_claim=connection.refresh_claim)
    if not claimed.update(
        refresh_claim=claim,
        refresh_claimed_until=now + timedelta(seconds=CLAIM_SECONDS),
    ):
        return None
    return RefreshClaim(
        claim=claim,
        refresh_token=refresh_token,
        stored=stored,
        after_loss=connection.refresh_claim is not None,
    )


def store_renewed(*, claim: RefreshClaim, new: NewTokens) -> bool:
    """Keep what the vendor gave for the claimed refresh token; False when too late.

    The stored refresh token must still be the spent one: tokens of a newer consent are
    not overwritten. That, not the claim, decides, since the spent one is worthless. Who
    took the claim over may have been refused it meanwhile: with what was kept here the
    connection works all the same.
    """
    changes: dict[str, object] = {
        "access_token": tokens.encrypt(new.access_token),
        "token_expires_at": new.expires_at,
        "refresh_claim": None,
        "refresh_claimed_until": None,
        "status": _unless_lost("status", ConnectionStatus.ACTIVE),
        "status_reason": _unless_lost("status_reason", ""),
    }
    if new.refresh_token is not None:
        changes["refresh_token"] = tokens.encrypt(new.refresh_token)
    if new.scopes:
        changes["scopes"] = new.scopes[:500]
    mine = VendorConnection.objects.filter(
        id=claim.connection_id, refresh_token=claim.stored.refresh_token
    )
    return bool(mine.update(**changes))


def put_off(*, claim: RefreshClaim, until: datetime, is_lost: bool) -> None:
    """Give the claim back after a try that brought nothing; nobody tries before `until`.

    `is_lost` says that the vendor may have answered: the refresh token may be spent.
    """
    is_doubtful = is_lost or claim.after_loss
    VendorConnection.objects.filter(
        id=claim.connection_id, refresh_claim=claim.claim
    ).update(refresh_claim=_LOST if is_doubtful else None, refresh_claimed_until=until)


def mark_needs_reconnect(*, stored: StoredTokens, reason: str) -> bool:
    """Stop fetching for a connection until the person consents again.

    Only while the row still holds `stored`, the tokens that proved to be worth nothing.
    False when nothing changed: it is not active any more, or was connected again or
    renewed meanwhile.
    """
    return bool(
        _holding(stored).update(
            status=ConnectionStatus.NEEDS_RECONNECT,
            status_reason=reason[:300],
            refresh_claim=None,
            refresh_claimed_until=None,
        )
    )


def _holding(stored: StoredTokens) -> QuerySet[VendorConnection]:
    """Return the connection, if it is active and still holds these tokens."""
    return VendorConnection.objects.filter(
        id=stored.connection_id,
        status=ConnectionStatus.ACTIVE,
        access_token=stored.access_token,
        refresh_token=stored.refresh_token,
    )


def _unless_lost(column: str, mended: str) -> Case:
    """Return the column as it is, `mended` where the connection was given up."""
    lost = When(status=ConnectionStatus.NEEDS_RECONNECT, then=Value(mended))
    return Case(lost, default=F(column))


def _bytes(data: bytes | memoryview | None) -> bytes | None:
    return None if data is None else bytes(data)

"""OAuth grants: codes that work once, refresh tokens that work once and rotate."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_CODE_LIFE = timedelta(minutes=10)


class GrantError(Exception):
    """The token endpoint refuses; `code` is the OAuth error."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(slots=True, kw_only=True)
class Grant:
    """One access token with what it may do, and the refresh token that renews it."""

    account: str
    scopes: frozenset[str]
    access_token: str
    refresh_token: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A code on its way from the consent page to the token endpoint."""

    account: str
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str | None
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class GrantBook:
    """Every grant of one vendor.

    `access_dies_on_refresh`: whether a refresh also ends the old access token at once.
    """

    life: timedelta
    access_dies_on_refresh: bool
    _codes: dict[str, Consent] = field(default_factory=dict)
    _by_access: dict[str, Grant] = field(default_factory=dict)
    _by_refresh: dict[str, Grant] = field(default_factory=dict)

    def consent(
        self,
        *,
        account: str,
        scopes: Iterable[str],
        redirect_uri: str,
        challenge: str | None,
        now: datetime,
    ) -> str:
        """Return a code for a consent that was just given."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = Consent(
            account=account,
            scopes=frozenset(scopes),
            redirect_uri=redirect_uri,
            challenge=challenge,
            expires_at=now + _CODE_LIFE,
        )
        return code

    def scopes_of(self, code: str) -> frozenset[str]:
        """Return what a code stands for; nothing where it is unknown."""
        consent = self._codes.get(code)
        return consent.scopes if consent is not None else frozenset()

    def redeem(
        self,
        *,
        code: str,
        redirect_uri: str,
        verifier: str | None,
        renewable: bool,
        now: datetime,
    ) -> Grant:
        """Turn a code into a grant, once."""
        consent = self._codes.pop(code, None)
        if consent is None or consent.expires_at <= now:
            raise GrantError("invalid_grant", "The code is unknown, used or expired.")
        if consent.redirect_uri != redirect_uri:
            raise GrantError("invalid_grant", "redirect_uri is not that of the code.")
        if consent.challenge is not None and _challenge(verifier) != consent.challenge:
            raise GrantError("invalid_grant", "code_verifier does not fit.")
        return self.issue(
            account=consent.account,
            scopes=consent.scopes,
            renewable=renewable,
            now=now,
        )

    def issue(
        self,
        *,
        account: str,
        scopes: Iterable[str],
        renewable: bool = True,
        now: datetime,
    ) -> Grant:
        """Return a new grant; others of the account stay."""
        grant = Grant(
            account=account,
            scopes=frozenset(scopes),
            access_token=secrets.token_urlsafe(32),
            refresh_token=secrets.token_urlsafe(32) if renewable else None,
            expires_at=now + self.life,
        )
        self._by_access[grant.access_token] = grant
        if grant.refresh_token is not None:
            self._by_refresh[grant.refresh_token] = grant
        return grant

    def refresh(self, *, token: str, renewable: bool, now: datetime) -> Grant:
        """Turn a refresh token into a new grant; the old one is used up.

        Raises GrantError when it is unknown, and therefore also at the second use.
        """
        old = self._by_refresh.pop(token, None)
        if old is None:
            raise GrantError("invalid_grant", "The refresh token is unknown or used.")
        if self.access_dies_on_refresh:
            self._by_access.pop(old.access_token, None)
        return self.issue(
            account=old.account, scopes=old.scopes, renewable=renewable, now=now
        )

    def by_access(self, token: str, *, now: datetime) -> Grant | None:
        """Return the live grant of an access token."""
        grant = self._by_access.get(token)
        return grant if grant is not None and grant.expires_at > now else None

    def expire(self, account: str, *, now: datetime) -> int:
        """Let the account's access tokens run out now; they can be refreshed."""
        found = self._of(account)
        for grant in found:
            grant.expires_at = now
        return len(found)

    def revoke(self, account: str) -> int:
        """End every grant of an account, as when its owner withdraws consent."""
        found = self._of(account)
        for grant in found:
            self._by_access.pop(grant.access_token, None)
        renewable = [k for k, g in self._by_refresh.items() if g.account == account]
        for token in renewable:
            del self._by_refresh[token]
        return max(len(found), len(renewable))

    def _of(self, account: str) -> list[Grant]:
        return [g for g in self._by_access.values() if g.account == account]


def _challenge(verifier: str | None) -> str | None:
    """Return the S256 challenge that belongs to a verifier (RFC 7636)."""
    if verifier is None:
        return None
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")

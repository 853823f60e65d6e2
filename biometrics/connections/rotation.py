"""Bringing stored tokens under the newest key, so that older keys can be thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.models import Q

from biometrics.connections import tokens
from biometrics.errors import ConfigurationError
from biometrics.models import AlertSubscription, VendorConnection

_FIELDS = ("access_token", "refresh_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """How many connections were rewritten, were busy with a renewal, open with no key."""

    rewritten: int
    busy: int
    locked: tuple[int, ...]


def rotate_all(*, now: datetime) -> Rotated:
    """Encrypt every stored token under the first of AUREN_TOKEN_KEYS.

    What the first key opens already is left alone. A row whose refresh token is being
    spent is left alone too: the renewal finds its row by the stored bytes, and writes
    its result under the first key. Raises ConfigurationError without any usable key.
    """
    tokens.encrypt("")  # names the setting before any row is read
    newest = Fernet(settings.AUREN_TOKEN_KEYS[0])
    rewritten, busy, locked = 0, 0, []
    held = Q(access_token__isnull=False) | Q(refresh_token__isnull=False)
    for row in VendorConnection.objects.filter(held).order_by("id").iterator():
        stored = {name: _bytes(getattr(row, name)) for name in _FIELDS}
        try:
            changed = {
                name: tokens.rotate(data)
                for name, data in stored.items()
                if data is not None and not _opens(newest, data)
            }
        except ConfigurationError:
            locked.append(row.id)
            continue
        if changed and _replace(row.id, stored=stored, changed=changed, now=now):
            rewritten += 1
        elif changed:
            busy += 1
    return Rotated(rewritten=rewritten, busy=busy, locked=tuple(locked))


def rotate_secrets() -> Rotated:
    """Do the same with the secrets of staff's webhooks; nobody else writes those."""
    tokens.encrypt("")
    newest = Fernet(settings.AUREN_TOKEN_KEYS[0])
    rewritten, locked = 0, []
    for row in AlertSubscription.objects.filter(secret__isnull=False).order_by("id"):
        stored = _bytes(row.secret)
        if stored is None or _opens(newest, stored):
            continue
        try:
            changed = tokens.rotate(stored)
        except ConfigurationError:
            locked.append(row.pk)
            continue
        mine = AlertSubscription.objects.filter(pk=row.pk, secret=stored)
        rewritten += mine.update(secret=changed)
    return Rotated(rewritten=rewritten, busy=0, locked=tuple(locked))


def _replace(
    connection_id: int,
    *,
    stored: dict[str, bytes | None],
    changed: dict[str, bytes],
    now: datetime,
) -> bool:
    """Write the new bytes if the row still holds the old ones and nobody renews it."""
    free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lte=now)
    mine = VendorConnection.objects.filter(free, id=connection_id, **stored)
    return bool(mine.update(**changed))


def _opens(key: Fernet, data: bytes) -> bool:
    try:
        key.decrypt(data)
    except InvalidToken:
        return False
    return True


def _bytes(data: bytes | memoryview | None) -> bytes | None:
    return None if data is None else bytes(data)

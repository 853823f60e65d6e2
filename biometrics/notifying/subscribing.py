"""Beginning and ending to be told of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import available_timezones

from django.conf import settings
from django.db import IntegrityError, transaction

from biometrics import audit
from biometrics.connections.tokens import encrypt
from biometrics.errors import BiometricsError
from biometrics.models import AlertSubscription
from biometrics.models.hrv import Severity
from biometrics.models.notices import Channel
from biometrics.notifying import signing
from biometrics.public_addresses import check_url


class SubscribingError(BiometricsError):
    """A wish that cannot be stored; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How somebody wants to be told."""

    owner_id: int
    channel: Channel
    address: str
    least: Severity = Severity.HIGH
    quiet_from: time | None = None
    quiet_until: time | None = None
    zone: str = "UTC"
    wakes_for_critical: bool = True


def subscribe(
    wish: Wish, *, actor: str, now: datetime
) -> tuple[AlertSubscription, str]:
    """Store a wish; returns it with the webhook's secret, which nobody can read later.

    Raises SubscribingError, ForbiddenAddressError, ConfigurationError.
    """
    _check(wish)
    secret = signing.new_secret() if wish.channel == Channel.WEBHOOK else ""
    try:
        with transaction.atomic():
            row = AlertSubscription.objects.create(
                owner_id=wish.owner_id,
                channel=wish.channel,
                address=wish.address,
                secret=encrypt(secret) if secret else None,
                least=wish.least,
                quiet_from=wish.quiet_from,
                quiet_until=wish.quiet_until,
                zone=wish.zone,
                wakes_for_critical=wish.wakes_for_critical,
                created_at=now,
            )
            audit.note(
                actor=actor,
                verb="notice.subscribe",
                target=str(row),
                reason="wants to be told of alerts",
                now=now,
                detail={"subscription": row.pk, "least": wish.least},
            )
    except IntegrityError:
        raise SubscribingError("This address is subscribed already.") from None
    return row, secret


def end(subscription_id: int, *, actor: str, reason: str, now: datetime) -> bool:
    """Tell a subscriber nothing more; returns whether it was still told."""
    with transaction.atomic():
        rows = AlertSubscription.objects.filter(pk=subscription_id, ended_at=None)
        if not rows.update(ended_at=now, ended_because=reason[:300], secret=None):
            return False
        audit.note(
            actor=actor,
            verb="notice.unsubscribe",
            target=f"subscription {subscription_id}",
            reason=reason,
            now=now,
        )
    return True


def _check(wish: Wish) -> None:
    if wish.channel == Channel.EMAIL and not settings.EMAIL_HOST:
        raise SubscribingError("EMAIL_HOST is not set, so no e-mail can be sent.")
    if wish.channel == Channel.WEBHOOK:
        check_url(wish.address, is_open=settings.AUREN_MODE == "development")
    if (wish.quiet_from is None) != (wish.quiet_until is None):
        raise SubscribingError("Quiet hours need both a beginning and an end.")
    if wish.zone not in available_timezones():
        raise SubscribingError("The time zone is not known, e.g. Europe/Berlin.")

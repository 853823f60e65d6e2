"""Telling when an old signing secret may go: which one proved what, and when last.

Counted from the stored deliveries, a few minutes of them at a time, so that intake pays
nothing for it and the cost does not grow with history.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery

from biometrics.errors import UnknownVendorError
from biometrics.models import SecretUse, WebhookDelivery
from biometrics.models.intake import DeliveryOrigin
from biometrics.vendors.registry import get_adapter

# A secret that proved nothing for so long is not used any more.
IDLE = timedelta(days=7)
# A row is stored well within this time after the moment that it carries.
_SETTLED = timedelta(minutes=1)


def keep(*, now: datetime) -> None:
    """Bring the counts up to a minute ago; forget secrets that are no longer set.

    Repeating it, or doing it in two processes, counts nothing twice.
    """
    active = dict(_active())
    with transaction.atomic():
        rows = {
            (row.vendor, row.slot): row
            for row in SecretUse.objects.select_for_update().order_by("vendor", "slot")
        }
        for key, row in rows.items():
            if active.get(key) != row.fingerprint:
                row.delete()
            else:
                _count(row, until=now - _SETTLED)
        SecretUse.objects.bulk_create(
            [
                SecretUse(
                    vendor=vendor,
                    slot=slot,
                    fingerprint=fingerprint,
                    since=now,
                    counted_until=now,
                )
                for (vendor, slot), fingerprint in active.items()
                if (vendor, slot) not in rows
                or rows[vendor, slot].fingerprint != fingerprint
            ],
            ignore_conflicts=True,
        )


def idle_since(row: SecretUse) -> datetime:
    """Return when the secret last proved anything, else since when it is watched."""
    return row.last_at or row.since


def proof_of(delivery: WebhookDelivery) -> str:
    """Say what proved the sender of a webhook, as metrics and pages number secrets."""
    if _is_personal(delivery.vendor):
        return "the person's own token"
    return f"secret {delivery.secret_slot} of {delivery.vendor} (counted from 0)"


def is_used(row: SecretUse, *, now: datetime) -> bool:
    """Say whether the secret proved anything in the last week."""
    return row.last_at is not None and now - row.last_at < IDLE


def rows() -> QuerySet[SecretUse]:
    """Return all secrets, each with `others_last_at` of its vendor's others."""
    others = SecretUse.objects.filter(vendor=OuterRef("vendor")).exclude(
        slot=OuterRef("slot")
    )
    newest = others.order_by(F("last_at").desc(nulls_last=True)).values("last_at")
    return SecretUse.objects.annotate(others_last_at=Subquery(newest[:1]))


def may_go(row: SecretUse, *, now: datetime) -> bool:
    """Say whether a row of `rows` is unused for a week while another one is used."""
    others: datetime | None = getattr(row, "others_last_at", None)
    is_replaced = others is not None and now - others < IDLE
    return is_replaced and now - idle_since(row) >= IDLE


def _active() -> Iterator[tuple[tuple[str, int], str]]:
    for vendor, secrets in settings.AUREN_WEBHOOK_SECRETS.items():
        # A secret that is set there all the same proves nothing.
        if _is_personal(vendor):
            continue
        for slot, secret in enumerate(secrets):
            yield (vendor, slot), fingerprint(secret)


def _is_personal(vendor: str) -> bool:
    """Say whether each person proves their deliveries with a token of their own."""
    try:
        return get_adapter(vendor).personal_tokens
    except UnknownVendorError:
        return False


def fingerprint(secret: str) -> str:
    """Return what tells this secret from another and reveals neither."""
    key = f"secret-use:{settings.SECRET_KEY}".encode()
    return hmac.new(key, secret.encode(), hashlib.sha256).hexdigest()[:16]


def _count(row: SecretUse, *, until: datetime) -> None:
    if until <= row.counted_until:
        return
    found = WebhookDelivery.objects.filter(
        received_at__gt=row.counted_until,
        received_at__lte=until,
        vendor=row.vendor,
        secret_slot=row.slot,
        origin=DeliveryOrigin.WEBHOOK,
    ).aggregate(n=Count("id"), last=Max("received_at"))
    row.proven += found["n"]
    row.last_at = found["last"] or row.last_at
    row.counted_until = until
    row.save(update_fields=["proven", "last_at", "counted_until"])

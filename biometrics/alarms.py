"""Raising and clearing what staff must see to."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import IntegrityError, transaction

from biometrics.models import StaffAlarm

logger = logging.getLogger(__name__)

_TITLES = {
    "ledger": "Ledger does not add up",
    "needs_reconnect": "Connection needs a new consent",
    "notice": "Somebody could not be told",
    "silence": "Silent stream",
    "subscriptions": "Vendor's subscriptions",
}


def title_of(kind: str) -> str:
    """Return what a kind of alarm is about, in words; an unknown one speaks for itself."""
    return _TITLES.get(kind) or kind.replace("_", " ").capitalize()


def sound(kind: str, *, key: str = "", text: str, now: datetime) -> bool:
    """Raise an alarm, or bring the text of the open one up to date.

    Returns whether it is new; only then is it logged, so a check may run each minute.
    """
    open_one = StaffAlarm.objects.filter(kind=kind, key=key[:200], cleared_at=None)
    if open_one.update(text=text[:500]):
        return False
    try:
        with transaction.atomic():
            StaffAlarm.objects.create(
                kind=kind, key=key[:200], text=text[:500], since=now
            )
    except IntegrityError:
        return False  # Another process has raised it this moment.
    logger.error("alarm.raised", extra={"kind": kind, "key": key})
    return True


def clear(kind: str, *, key: str = "", now: datetime) -> bool:
    """End the open alarm, if there is one; returns whether there was."""
    open_one = StaffAlarm.objects.filter(kind=kind, key=key[:200], cleared_at=None)
    if not open_one.update(cleared_at=now):
        return False
    logger.info("alarm.cleared", extra={"kind": kind, "key": key})
    return True

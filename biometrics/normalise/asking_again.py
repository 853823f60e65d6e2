"""Deliveries of our own that have an unfinished document fetched once more, later.

A vendor that stores a document before it has all of its numbers announces the rest, but
announcements get lost. The follow-up takes the ordinary way, so what was announced
meanwhile is not said twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from biometrics.intake.rows import public_id
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus

_FIRST_WAIT = timedelta(minutes=30)
# 30 minutes, then twice as long each time: the last one after 31 hours.
_MOST_ROUNDS = 6
# What is replayed later than this was followed up, or given up, long ago.
_LONGEST_AGO = timedelta(days=2)
_MARK = "|again:"


def store_followups(unfinished: Iterable[WebhookDelivery], *, now: datetime) -> int:
    """Have what these notifications announced fetched again, each once; return how many.

    Call it in the transaction that ends work on them.
    """
    rows = [row for one in unfinished if (row := _followup(one, now=now)) is not None]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _followup(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery | None:
    key, _, number = delivery.dedupe_key.rpartition(_MARK)
    done = int(number) if key else 0
    if done >= _MOST_ROUNDS or now - delivery.received_at > _LONGEST_AGO:
        return None
    again = f"{key or delivery.dedupe_key}{_MARK}{done + 1}"
    return WebhookDelivery(
        public_id=public_id(vendor=delivery.vendor, dedupe_key=again),
        vendor=delivery.vendor,
        account_id=delivery.account_id,
        reference=delivery.reference,
        event_type=delivery.event_type,
        dedupe_key=again,
        shard=delivery.shard,
        origin=DeliveryOrigin.RECOVERED,
        body=delivery.body,
        headers=delivery.headers,
        trace=delivery.trace,
        received_at=now,
        status=DeliveryStatus.RETRYING,
        next_attempt_at=now + _FIRST_WAIT * 2**done,
        error_code="unfinished",
        error="The vendor had not finished the document; it is fetched again.",
    )

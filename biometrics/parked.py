"""What staff may do with deliveries that are parked."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from biometrics import audit, deliveries, nudges
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryStatus


def retry_deliveries(
    rows: QuerySet[WebhookDelivery], *, actor: str, reason: str, now: datetime
) -> int:
    """Make the parked ones among `rows` due again; return how many.

    Their attempts start anew. What was stored of them before stays stored: events are
    told apart by their content, so nothing is published twice.
    """
    with transaction.atomic():
        parked = WebhookDelivery.objects.filter(
            pk__in=rows.values_list("pk", flat=True), status=DeliveryStatus.PARKED
        )
        count = parked.count()
        shards = deliveries.make_due(parked)
        audit.note(
            actor=actor,
            verb="delivery.retry",
            target=f"{count} deliveries",
            reason=reason,
            now=now,
        )
        transaction.on_commit(lambda: nudges.nudge_processing(shards))
    return count

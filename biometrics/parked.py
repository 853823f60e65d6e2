"""What staff may do with deliveries that are parked; `parked_groups` tells of all."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Count, QuerySet

from biometrics import audit, deliveries, nudges
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryStatus


def parked_deliveries(
    *, vendor: str = "", code: str | None = None
) -> QuerySet[WebhookDelivery]:
    """Return the parked deliveries, of a vendor and for a reason where given."""
    rows = WebhookDelivery.objects.filter(status=DeliveryStatus.PARKED)
    if vendor:
        rows = rows.filter(vendor=vendor)
    return rows if code is None else rows.filter(error_code=code)


def retry_deliveries(
    rows: QuerySet[WebhookDelivery], *, actor: str, reason: str, now: datetime
) -> int:
    """Make the parked ones among `rows` due again; return how many.

    Their attempts start anew. What was stored of them before stays stored: events are
    told apart by their content, so nothing is published twice.
    """
    with transaction.atomic():
        parked = parked_deliveries().filter(pk__in=rows.values_list("pk", flat=True))
        ids = list(parked.order_by("id").values_list("public_id", flat=True))
        shards = deliveries.make_due(parked)
        audit.note(
            actor=actor,
            verb="delivery.retry",
            target=audit.counted(ids, "delivery", "deliveries"),
            reason=reason,
            now=now,
            detail=audit.named("deliveries", ids),
        )
        transaction.on_commit(lambda: nudges.nudge_processing(shards))
    return len(ids)


def skip_deliveries(
    rows: QuerySet[WebhookDelivery], *, actor: str, reason: str, now: datetime
) -> int:
    """Give the parked ones among `rows` up; return how many.

    They are kept as ignored, with the reason, and can be replayed while their bytes are
    there.
    """
    with transaction.atomic():
        parked = parked_deliveries().filter(pk__in=rows.values_list("pk", flat=True))
        codes = dict(
            parked.order_by().values_list("error_code").annotate(n=Count("id"))
        )
        ids = list(parked.order_by("id").values_list("public_id", flat=True))
        parked.update(
            status=DeliveryStatus.IGNORED,
            error_code="skipped",
            error=f"Skipped by staff: {reason}"[:500],
        )
        audit.note(
            actor=actor,
            verb="delivery.skip",
            target=audit.counted(ids, "delivery", "deliveries"),
            reason=reason,
            now=now,
            detail={"parked_because": codes, **audit.named("deliveries", ids)},
        )
    return len(ids)

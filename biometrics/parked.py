"""What is parked, by reason, and what staff may do with deliveries among it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from biometrics import audit, deliveries, nudges, reasons
from biometrics.models import OutboxMessage, ParkedQueue, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is parked for one reason: deliveries of a vendor, or people's messages.

    `count` is deliveries or people, `messages` what waits with the latter. `readable`
    are the deliveries whose bytes are still there. `oldest` is the one to try first.
    """

    code: str
    reason: Reason
    count: int
    first_at: datetime
    last_at: datetime
    oldest: Any
    vendor: str = ""
    readable: int = 0
    messages: int = 0


def delivery_groups() -> list[Group]:
    """Return the parked deliveries by vendor and reason, the most first."""
    found = (
        parked_deliveries()
        .values("vendor", "error_code")
        .annotate(
            n=Count("id"),
            readable=Count("body"),
            first_at=Min("received_at"),
            last_at=Max("received_at"),
            # One that can be tried, where there is one.
            oldest=Coalesce(Min("id", filter=Q(body__isnull=False)), Min("id")),
        )
        .order_by("-n", "vendor", "error_code")
    )
    rows = list(found)
    oldest = WebhookDelivery.objects.defer("body").in_bulk(
        [row["oldest"] for row in rows]
    )
    return [
        Group(
            code=row["error_code"],
            reason=reasons.of_delivery(row["error_code"]),
            count=row["n"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            oldest=oldest[row["oldest"]],
            vendor=row["vendor"],
            readable=row["readable"],
        )
        for row in rows
        if row["oldest"] in oldest
    ]


def queue_groups() -> list[Group]:
    """Return the people whose messages are parked, by reason, the most first."""
    rows = list(
        ParkedQueue.objects.values("code")
        .annotate(
            n=Count("id"), first_at=Min("since"), last_at=Max("since"), oldest=Min("id")
        )
        .order_by("-n", "code")
    )
    oldest = ParkedQueue.objects.in_bulk([row["oldest"] for row in rows])
    return [
        Group(
            code=row["code"],
            reason=reasons.of_queue(row["code"]),
            count=row["n"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            oldest=oldest[row["oldest"]],
            messages=_waiting_with(row["code"]),
        )
        for row in rows
        if row["oldest"] in oldest
    ]


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


def _waiting_with(code: str) -> int:
    people = ParkedQueue.objects.filter(code=code).values("subject")
    return OutboxMessage.objects.filter(
        status=MessageStatus.PARKED, subject__in=people
    ).count()

"""Stored deliveries as a queue: which are due, who is at work on them, how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Length

from biometrics.models import DeliveryDocument, WebhookDelivery
from biometrics.models.intake import DUE_DELIVERY, DeliveryStatus
from biometrics.vendors.wire import ApiResponse

# A delivery during which the worker died this often is not tried again.
KILLS_TO_PARK = 3
_ERROR_LENGTH = 500
_AT_REST = frozenset(
    {
        DeliveryStatus.PROCESSED,
        DeliveryStatus.IGNORED,
        DeliveryStatus.PARKED,
        DeliveryStatus.ERASED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What becomes of a delivery. `error` says what happened and what to do next."""

    status: DeliveryStatus
    code: str = ""
    error: str = ""
    next_attempt_at: datetime | None = None


PROCESSED = Disposition(status=DeliveryStatus.PROCESSED)


def due_shards(*, now: datetime) -> set[int]:
    """Return the shards that have deliveries to be worked on."""
    due = _due(now)
    if not due.exists():
        return set()
    return {
        shard for shard in range(settings.SHARDS) if due.filter(shard=shard).exists()
    }


def is_due(*, shard: int, now: datetime) -> bool:
    """Say whether a shard has deliveries to be worked on."""
    return _due(now).filter(shard=shard).exists()


class Begun(NamedTuple):
    """Deliveries in hand, in id order; `leaves_more` says that others were due too."""

    deliveries: list[WebhookDelivery]
    leaves_more: bool


def begin(*, shard: int, now: datetime, max_rows: int, max_bytes: int) -> Begun:
    """Return the next due deliveries of a shard in id order, and note the beginning.

    At least one is returned when any is due, however big. One whose worker died before
    comes alone, so that it can take nobody down with it; `unfinished` is the number of
    deaths before this beginning.
    """
    sizes = (
        _due(now)
        .filter(shard=shard)
        .order_by("id")
        .values_list("id", "unfinished", Length("body"))[: max_rows + 1]
    )
    chosen: list[int] = []
    total, suspects = 0, 0
    for delivery_id, unfinished, size in sizes:
        total += size or 0
        is_full = total > max_bytes or len(chosen) == max_rows
        if chosen and (unfinished or suspects or is_full):
            break
        chosen.append(delivery_id)
        suspects += bool(unfinished)
    if not chosen:
        return Begun([], leaves_more=False)
    rows = WebhookDelivery.objects.filter(id__in=chosen)
    deliveries = list(rows.order_by("id"))
    rows.update(unfinished=F("unfinished") + 1)
    return Begun(deliveries, leaves_more=len(chosen) < len(sizes))


def take_back(deliveries: Sequence[WebhookDelivery]) -> None:
    """Undo the note of the beginning for what is still due: the worker did not die."""
    WebhookDelivery.objects.filter(
        DUE_DELIVERY, id__in=[d.id for d in deliveries], unfinished__gt=0
    ).update(unfinished=F("unfinished") - 1)


def make_due(rows: QuerySet[WebhookDelivery]) -> set[int]:
    """Let deliveries begin anew, as if they had just come; return their shards.

    What was stored of them stays stored: it is told apart by its content.
    """
    shards = set(rows.order_by().values_list("shard", flat=True).distinct())
    rows.update(
        status=DeliveryStatus.PENDING,
        attempts=0,
        unfinished=0,
        next_attempt_at=None,
        error_code="",
        error="",
        processed_at=None,
    )
    return shards


def documents_of(delivery_ids: Sequence[int]) -> dict[int, list[ApiResponse]]:
    """Return what was fetched before for these deliveries and is still kept."""
    found: dict[int, list[ApiResponse]] = {}
    if not delivery_ids:
        return found
    documents = DeliveryDocument.objects.filter(
        delivery_id__in=delivery_ids, body__isnull=False
    )
    for document in documents.order_by("id"):
        found.setdefault(document.delivery_id, []).append(
            ApiResponse(
                url=document.url,
                status=document.status,
                body=bytes(document.body or b""),
                fetched_at=document.fetched_at,
            )
        )
    return found


def finish(
    *,
    deliveries: Sequence[WebhookDelivery],
    dispositions: Mapping[int, Disposition],
    now: datetime,
) -> None:
    """Write how work on these deliveries ended; all of them are in `dispositions`."""
    smooth = [d.id for d in deliveries if dispositions[d.id] == PROCESSED]
    if smooth:
        WebhookDelivery.objects.filter(id__in=smooth).update(
            status=DeliveryStatus.PROCESSED,
            unfinished=0,
            next_attempt_at=None,
            error_code="",
            error="",
            processed_at=now,
        )
    rest = [d for d in deliveries if dispositions[d.id] != PROCESSED]
    for delivery in rest:
        _note(delivery, dispositions[delivery.id], now=now)
    WebhookDelivery.objects.bulk_update(
        rest,
        [
            "status",
            "attempts",
            "unfinished",
            "next_attempt_at",
            "error_code",
            "error",
            "processed_at",
        ],
        batch_size=100,
    )
    erased = [d.id for d in rest if d.status == DeliveryStatus.ERASED]
    if erased:
        DeliveryDocument.objects.filter(delivery_id__in=erased).delete()
        WebhookDelivery.objects.filter(id__in=erased).update(body=None, headers={})


def keep_documents(documents: Mapping[int, Sequence[ApiResponse]]) -> None:
    """Keep what was fetched for deliveries, by delivery id: replay needs no network."""
    DeliveryDocument.objects.bulk_create(
        DeliveryDocument(
            delivery_id=delivery_id,
            url=document.url[:500],
            status=document.status,
            body=document.body,
            fetched_at=document.fetched_at,
        )
        for delivery_id, found in documents.items()
        for document in found
    )


def _note(delivery: WebhookDelivery, end: Disposition, *, now: datetime) -> None:
    delivery.status = end.status
    delivery.unfinished = 0
    delivery.attempts = min(delivery.attempts + 1, 32_000)
    delivery.next_attempt_at = end.next_attempt_at
    delivery.error_code = end.code
    delivery.error = end.error[:_ERROR_LENGTH]
    delivery.processed_at = now if end.status in _AT_REST else None


def _due(now: datetime) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(
        DUE_DELIVERY, Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    )

"""Forgetting what has served its time, in small batches that disturb nobody."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from biometrics.models import DeliveryDocument, OutboxMessage, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus

_BATCH = 500
_AT_REST = (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED, DeliveryStatus.ERASED)


def retain(*, now: datetime, limit_s: float) -> dict[str, int]:
    """Drop old raw bytes and published messages; returns how many of each.

    Works for at most `limit_s`; the next run goes on. Deliveries that still wait or are
    parked keep their bytes however old they are.
    """
    deadline = time.monotonic() + limit_s
    return {
        name: _blank(rows, column=column, deadline=deadline)
        for name, (rows, column) in _old(now).items()
    }


def due(*, now: datetime) -> dict[str, int]:
    """Return how many of each `retain` would drop, and change nothing."""
    return {name: rows.count() for name, (rows, _) in _old(now).items()}


def _old(now: datetime) -> dict[str, tuple[QuerySet[Any], str]]:
    """Return the rows that have served their time, and the column that goes."""
    raw_before = now - timedelta(days=settings.RAW_RETENTION_DAYS)
    messages_before = now - timedelta(days=settings.MESSAGE_RETENTION_DAYS)
    bodies = WebhookDelivery.objects.filter(
        received_at__lt=raw_before, status__in=_AT_REST, body__isnull=False
    )
    documents = DeliveryDocument.objects.filter(
        fetched_at__lt=raw_before, delivery__status__in=_AT_REST, body__isnull=False
    )
    # The row stays as the proof of publication; only its bytes go.
    messages = OutboxMessage.objects.filter(
        status=MessageStatus.PUBLISHED,
        published_at__lt=messages_before,
        value__isnull=False,
    )
    return {
        "bodies": (bodies, "body"),
        "documents": (documents, "body"),
        "messages": (messages, "value"),
    }


def _blank(rows: QuerySet[Any], *, column: str, deadline: float) -> int:
    done = 0
    while time.monotonic() < deadline:
        ids = list(rows.values_list("pk", flat=True)[:_BATCH])
        if not ids:
            break
        done += rows.model._default_manager.filter(pk__in=ids).update(  # noqa: SLF001
            **{column: None}
        )
    return done

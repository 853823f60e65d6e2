"""Forgetting what has served its time, in small batches that disturb nobody.

Rows stay where they prove something: a delivery that it was received, an event that this
revision is known, a message that it was published. What they hold goes. Readings, which
are what an event's record measured, and old entries of the audit go as rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from biometrics.alerts.configured import configured_ruleset
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    OutboxMessage,
    Reading,
    WebhookDelivery,
)
from biometrics.models.events import EventStatus
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus

_BATCH = 500
_AT_REST = (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED, DeliveryStatus.ERASED)
_SETTLED = (MessageStatus.PUBLISHED, MessageStatus.DEAD)
# Beside a night lie pieces of it: a phone's evening, a sleep that began before midnight.
_AROUND_A_NIGHT = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Old:
    """Rows that have served their time, oldest first, and how a batch of them goes."""

    rows: QuerySet[Any]
    forget: Callable[[QuerySet[Any]], object]


def retain(*, now: datetime, limit_s: float) -> dict[str, int]:
    """Forget what the settings allow; returns how many of each.

    Works for at most `limit_s`; the next run goes on. What still waits, is parked, or
    is not published keeps all of it however old it is, and so does what the baseline of
    a night can need.
    """
    deadline = time.monotonic() + limit_s
    return {
        name: _forget(old, deadline=deadline) for name, old in _all_old(now).items()
    }


def due(*, now: datetime) -> dict[str, int]:
    """Return how many of each `retain` would forget, and change nothing."""
    return {name: old.rows.count() for name, old in _all_old(now).items()}


def _all_old(now: datetime) -> dict[str, _Old]:
    found = {
        "bodies": _bodies(_before(now, settings.RAW_RETENTION_DAYS)),
        "documents": _documents(_before(now, settings.RAW_RETENTION_DAYS)),
        "messages": _messages(_before(now, settings.MESSAGE_RETENTION_DAYS)),
    }
    if settings.EVENT_RETENTION_DAYS:
        found["events"] = _events(_before(now, settings.EVENT_RETENTION_DAYS), now=now)
    if settings.AUDIT_RETENTION_DAYS:
        found["audit"] = _audit(_before(now, settings.AUDIT_RETENTION_DAYS))
    return found


def _before(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def _bodies(before: datetime) -> _Old:
    rows = WebhookDelivery.objects.filter(
        received_at__lt=before, status__in=_AT_REST, body__isnull=False
    )
    return _Old(rows=rows.order_by("received_at"), forget=_emptying(body=None))


def _documents(before: datetime) -> _Old:
    rows = DeliveryDocument.objects.filter(
        fetched_at__lt=before, delivery__status__in=_AT_REST, body__isnull=False
    )
    return _Old(rows=rows.order_by("fetched_at"), forget=_emptying(body=None))


def _messages(before: datetime) -> _Old:
    # The row stays as the proof of publication; only its bytes go.
    rows = OutboxMessage.objects.filter(
        status=MessageStatus.PUBLISHED, published_at__lt=before, value__isnull=False
    )
    return _Old(rows=rows.order_by("published_at"), forget=_emptying(value=None))


def _events(before: datetime, *, now: datetime) -> _Old:
    """Return the events that are told, of no night that can still be judged."""
    told = OutboxMessage.objects.filter(event=OuterRef("pk"))
    lookback = timedelta(days=configured_ruleset().lookback_nights)
    nights_from = (now - lookback - _AROUND_A_NIGHT).date()
    rows = BiometricEvent.objects.filter(
        ~Q(data={}),
        Q(local_date__isnull=True) | Q(local_date__lt=nights_from),
        Q(status=EventStatus.STALE) | Exists(told.filter(status__in=_SETTLED)),
        ~Exists(told.exclude(status__in=_SETTLED)),
        created_at__lt=before,
    )
    return _Old(rows=rows.order_by("created_at"), forget=_forget_events)


def _forget_events(events: QuerySet[Any]) -> None:
    # The row stays: a revision that comes again must be known, or it would be sent again.
    Reading.objects.filter(event__in=events).delete()
    events.update(data={}, problems=[])


def _audit(before: datetime) -> _Old:
    # Whose an account was before it became another one's stands nowhere else: pages and
    # erasure ask for it.
    rows = AuditEntry.objects.filter(at__lt=before).exclude(verb="connection.relink")
    return _Old(rows=rows.order_by("at"), forget=QuerySet.delete)


def _emptying(**values: Any) -> Callable[[QuerySet[Any]], object]:
    return partial(_update, values=values)


def _update(rows: QuerySet[Any], *, values: dict[str, Any]) -> None:
    rows.update(**values)


def _forget(old: _Old, *, deadline: float) -> int:
    done = 0
    while time.monotonic() < deadline:
        with transaction.atomic():
            ids = list(_unlocked(old.rows).values_list("pk", flat=True)[:_BATCH])
            everyone = old.rows.model._default_manager  # noqa: SLF001
            old.forget(everyone.filter(pk__in=ids))
        done += len(ids)
        if len(ids) < _BATCH:
            break
    return done


def _unlocked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock what nobody works on: who waits for a lock here could be waited for."""
    if not connection.features.has_select_for_update_skip_locked:
        return rows
    return rows.select_for_update(skip_locked=True, of=("self",))

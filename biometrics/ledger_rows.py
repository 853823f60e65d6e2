"""The queries of the ledger: each counts one side of it by hour, vendor and state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    Count,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import TruncHour

from biometrics import untold
from biometrics.models import (
    BiometricEvent,
    IntakeCount,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus
from biometrics.vendors.registry import VENDORS, get_adapter

SOURCES = ("counted", "found", "announced", "leading", "silent", "fetched")
_BY_WEBHOOK = (DeliveryOrigin.WEBHOOK, DeliveryOrigin.ANNOUNCED)


def counts(*, since: datetime, until: datetime) -> list[QuerySet[Any, Any]]:
    """Return queries of (one of SOURCES, hour, vendor, state, n), to be united."""
    span = {"since": since, "until": until}
    return [
        *(_counted(**span), _found(**span), _leading(**span)),
        *(_silent(**span), _partial(**span), _fetched(**span)),
    ]


def _counted(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    """Count what intake wrote down."""
    return (
        IntakeCount.objects.filter(period__gte=since, period__lt=until)
        .values_list(Value("counted"), TruncHour("period"), "vendor", "outcome")
        .annotate(n=Sum("count"))
    )


def _found(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    """Count the rows that there are, by state: what webhooks brought, what they announced."""
    is_pushed = When(origin=DeliveryOrigin.WEBHOOK, then=Value("found"))
    source = Case(is_pushed, default=Value("announced"))
    return (
        WebhookDelivery.objects.filter(
            received_at__gte=since, received_at__lt=until, origin__in=_BY_WEBHOOK
        )
        .values_list(source, TruncHour("received_at"), "vendor", "status")
        .annotate(n=Count("id"))
    )


def _leading(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    """Count the announcements of which the payload must be here."""
    announcing = Q(pk__in=[])
    for slug in VENDORS:
        if (source := get_adapter(slug).payloads) is not None:
            announcing |= Q(vendor=slug, event_type=source.event_type)
    return (
        WebhookDelivery.objects.filter(
            announcing,
            received_at__gte=since,
            received_at__lt=until,
            origin=DeliveryOrigin.WEBHOOK,
            status=DeliveryStatus.PROCESSED,
        )
        .values_list(Value("leading"), TruncHour("received_at"), "vendor", "status")
        .annotate(n=Count("id"))
    )


def _silent(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    return (
        untold.silent_events(since=since, until=until)
        .values_list(Value("silent"), TruncHour("created_at"), "vendor", "status")
        .annotate(n=Count("id"))
    )


def _partial(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    ids = untold.partial_events(since=since, until=until).values("id")
    return (
        BiometricEvent.objects.filter(id__in=ids)
        .values_list(
            Value("silent"), TruncHour("created_at"), "vendor", Value("in parts")
        )
        .annotate(n=Count("id"))
    )


def _fetched(*, since: datetime, until: datetime) -> QuerySet[Any, Any]:
    """Count the events that say something new and of which no webhook told, by origin."""
    return (
        untold.telling_events(since=since, until=until)
        .exclude(delivery__origin__in=_BY_WEBHOOK)
        .values_list(
            Value("fetched"), TruncHour("created_at"), "vendor", "delivery__origin"
        )
        .annotate(n=Count("id"))
    )

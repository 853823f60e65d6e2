"""Filters that do not look through a table to offer their choices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from biometrics.catalogue import Metric
from biometrics.models import AuditEntry, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.vendors.registry import choices

_NEWEST = 200_000


class VendorFilter(DropdownFilter):
    """By vendor slug, from the registry."""

    title = "vendor"
    parameter_name = "vendor"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer every registered vendor."""
        return choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen vendor."""
        return queryset.filter(vendor=self.value()) if self.value() else queryset


class MetricFilter(DropdownFilter):
    """By metric, from the catalogue: of one person, or among the newest readings.

    Readings are the table that grows fastest and has no index for this: looking for a
    rare metric of everybody would read it from end to end.
    """

    title = "metric (newest 200,000, or of the person searched for)"
    parameter_name = "metric"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer every metric."""
        return [(metric.value, metric.value) for metric in Metric]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen metric."""
        if not self.value():
            return queryset
        if not request.GET.get("q"):
            newest = queryset.model.objects.aggregate(id=Max("id"))["id"] or 0
            queryset = queryset.filter(id__gt=newest - _NEWEST)
        return queryset.filter(metric=self.value())


class _AuditFilter(DropdownFilter):
    """By a column of the audit, among the values that there are; both have indexes."""

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer every value once."""
        column = str(self.parameter_name)
        rows = AuditEntry.objects.order_by(column).values_list(column, flat=True)
        return [(value, value) for value in rows.distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the entries with the chosen value."""
        chosen = self.value()
        return (
            queryset.filter(**{str(self.parameter_name): chosen})
            if chosen
            else queryset
        )


class VerbFilter(_AuditFilter):
    """By what was done."""

    title = "what was done"
    parameter_name = "verb"


class ActorFilter(_AuditFilter):
    """By who did it."""

    title = "who"
    parameter_name = "actor"


class ErrorCodeFilter(DropdownFilter):
    """By the reason for which deliveries are parked now."""

    title = "reason parked"
    parameter_name = "error_code"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer the reasons that exist; parked rows are few and have an index."""
        codes = (
            WebhookDelivery.objects.filter(status=DeliveryStatus.PARKED)
            .order_by("error_code")
            .values_list("error_code", flat=True)
            .distinct()
        )
        return [(code, code) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the parked rows with the chosen reason."""
        if not self.value():
            return queryset
        return queryset.filter(status=DeliveryStatus.PARKED, error_code=self.value())


class OpenAlarmFilter(DropdownFilter):
    """Open alarms, or those that are over."""

    title = "status"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer both states."""
        return [("open", "open"), ("over", "over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the alarms in the chosen state."""
        if not self.value():
            return queryset
        return queryset.filter(cleared_at__isnull=self.value() == "open")


class UtcRangeFilter(RangeDateTimeFilter):
    """From one time to another, both in UTC; a bound that is no time bounds nothing."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what lies between; the theme's own compares with times without a zone."""
        for end, lookup in (("from", "gte"), ("to", "lte")):
            at = self._bound(end)
            if at is not None:
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": at})
        return queryset

    def _bound(self, end: str) -> datetime | None:
        day, time = (
            self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") or ""
            for part in (0, 1)
        )
        midnight = "00:00:00" if end == "from" else "23:59:59.999999"
        try:
            said = datetime.fromisoformat(f"{day} {time or midnight}")
        except ValueError:
            return None
        return said.replace(tzinfo=UTC)


class PublishedFilter(UtcRangeFilter):
    """By when a message was published; what is not published has no such time."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what was published between; named with the status, as its index is."""
        kept = super().queryset(request, queryset)
        if kept is queryset:
            return queryset
        return kept.filter(status=MessageStatus.PUBLISHED)

"""HRV: what each night said."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from biometrics.admin import labels
from biometrics.admin.limits import LimitedAdmin
from biometrics.admin.shown import bullets, first, link, once, pretty
from biometrics.models import BiometricEvent, HrvAlert, HrvNight


@admin.register(HrvNight)
class HrvNightAdmin(LimitedAdmin[HrvNight]):
    """What one night said and how it was judged."""

    nothing_yet = (
        "No night was judged yet. One needs a sleep with a value of heart-rate "
        "variability; Readings shows what came."
    )
    health_fields = ("value_ms", "rhr_bpm", "rr_brpm", "temp_c", "judged")
    of_others = {"its_event": BiometricEvent, "its_alerts": HrvAlert}

    list_display = ("night", "person", "series_id", "grade", "ruleset")
    list_filter = (
        ("severity", ChoicesDropdownFilter),
        ("night", RangeDateFilter),
    )
    left_out_of_lists = ("verdict",)
    search_fields = ("subject__id__exact",)
    search_help_text = "Person id, whole."
    list_select_related = ("subject",)
    ordering = ("-night", "-id")
    fields = (
        "night",
        "person",
        "series_id",
        "grade",
        "value_ms",
        "rhr_bpm",
        "rr_brpm",
        "temp_c",
        "ruleset",
        "its_event",
        "its_alerts",
        "judged",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[HrvNight]:
        """Leave out sleeps that do not speak for their night."""
        rows: QuerySet[HrvNight] = super().get_queryset(request)
        return rows.filter(is_main=True)

    @display(description="Person")
    @once
    def person(self, row: HrvNight) -> SafeString | str:
        """Link to the person."""
        return link(row.subject)

    @display(description="Severity", label=labels.SEVERITIES)
    def grade(self, row: HrvNight) -> str:
        """Show the verdict."""
        return row.severity

    @display(description="From event")
    @once
    def its_event(self, row: HrvNight) -> SafeString | str:
        """Link to the event that brought it."""
        return link(row.event)

    @display(description="Alerts")
    @once
    def its_alerts(self, row: HrvNight) -> SafeString | str:
        """Link to the alerts that followed."""
        return bullets([link(alert) for alert in first(row.alerts.order_by("night"))])

    @display(description="Verdict")
    @once
    def judged(self, row: HrvNight) -> SafeString | str:
        """Show the engine's output."""
        return pretty(row.verdict)

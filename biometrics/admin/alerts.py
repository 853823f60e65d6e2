"""HRV: what was judged, and who should be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from biometrics.admin import inbox, labels
from biometrics.admin.hrv_chart import around
from biometrics.admin.hrv_evidence import evidence_of
from biometrics.admin.inbox import answers
from biometrics.admin.limits import LimitedAdmin
from biometrics.admin.reasons import ReasonForm, Verb, confirm
from biometrics.admin.reveal import WITHHELD, is_revealed, may_reveal, offer
from biometrics.admin.shown import (
    NOTHING,
    bullets,
    first,
    link,
    moment,
    once,
    pretty,
    trail_link,
)
from biometrics.admin.words import plural
from biometrics.alerts import staff
from biometrics.alerts.explaining import why
from biometrics.models import HrvAlert, HrvNight, OutboxMessage
from biometrics.models.hrv import AlertStatus, Feedback
from biometrics.trails import deliveries_of


@admin.register(HrvAlert)
class HrvAlertAdmin(LimitedAdmin[HrvAlert]):
    """Wellness information, not a diagnosis: check in with the person."""

    nothing_yet = "No alerts: no night was far below its person's own usual range."

    # The codes name the limits that the value was below of; notes say what was found.
    health_fields = ("rules", "found", "all_evidence")
    of_others = {"its_night": HrvNight, "its_messages": OutboxMessage}
    change_form_before_template = "admin/biometrics/hrv_alert.html"

    list_before_template = "admin/biometrics/inbox.html"
    list_display = ("grade", "person", "since", "evidence_line", "state")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("severity", ChoicesDropdownFilter),
        ("night", RangeDateFilter),
    )
    left_out_of_lists = ("evidence",)
    search_fields = ("id__exact", "subject__id__exact")
    search_help_text = "Alert id or person id, whole."
    list_select_related = ("subject",)
    actions = ("acknowledge",)
    fields = (
        "grade",
        "highest",
        "state",
        "person",
        "night",
        "evidence_line",
        "rules",
        "series_id",
        "ruleset",
        "raised",
        "revision",
        "acknowledged",
        "found",
        "came_from",
        "its_night",
        "its_messages",
        "all_evidence",
    )
    readonly_fields = fields

    class Media:
        js = ("biometrics/hrv.js",)

    def page_context(self, request: HttpRequest, row: HrvAlert) -> dict[str, Any]:
        """Put the evidence and a chart before the fields, once revealed."""
        context = super().page_context(request, row)
        if self.has_operate_permission(request):
            context["answers"] = answers(row, here=request.path)
            context["is_open"] = row.status == AlertStatus.OPEN
        if is_revealed(request, row.subject_id):
            return context | {"evidence": evidence_of(row), "chart": around(row)}
        key, here = row.subject_id, request.path
        place = offer(key, here=here) if may_reveal(request) else WITHHELD
        return context | {"why": self.evidence_line(row), "place": place}

    def get_urls(self) -> list[Any]:
        """Add the address that a row's buttons post to."""
        return [
            path(
                "<uuid:key>/acknowledge/",
                self.admin_site.admin_view(self.acknowledge_one),
                name="biometrics_hrvalert_acknowledge",
            ),
            *super().get_urls(),
        ]

    def acknowledge_one(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """Note what one alert was worth; only a POST does."""
        may = self.has_operate_permission(request)
        return inbox.acknowledge(request, key, now=timezone.now(), may=may)

    def get_queryset(self, request: HttpRequest) -> QuerySet[HrvAlert]:
        """Add what explains the rules to lists, which leave the evidence out."""
        rows: QuerySet[HrvAlert] = super().get_queryset(request)
        return rows.annotate(baseline_state=F("evidence__state"))

    def get_ordering(self, request: HttpRequest) -> tuple[object, ...]:
        """Put the worst first where only open ones are shown."""
        return inbox.ordering(request)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Show buttons instead of the status to those who may acknowledge."""
        if not self.has_operate_permission(request):
            return self.list_display
        here = request.get_full_path()

        @display(description="Acknowledge as")
        def answer(row: HrvAlert) -> SafeString | str:
            if row.status == AlertStatus.OPEN:
                return answers(row, here=here)
            by = f" by {row.acknowledged_by}" if row.acknowledged_by else ""
            return f"{row.status}{by}"

        return (*self.list_display[:-1], answer)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the tabs."""
        context = {**(extra_context or {}), "tabs": inbox.tabs(request)}
        return super().changelist_view(request, context)

    @display(description="Night, age")
    def since(self, row: HrvAlert) -> str:
        """Show which night it is about and how long it waits."""
        return f"{row.night}, {inbox.age(row.raised_at, now=timezone.now())}"

    @display(description="Severity", label=labels.SEVERITIES)
    def grade(self, row: HrvAlert) -> str:
        """Show the severity that holds now."""
        return row.severity

    @display(description="Highest so far", label=labels.SEVERITIES)
    def highest(self, row: HrvAlert) -> str:
        """Show the highest severity it had."""
        return row.max_severity

    @display(description="Status", label=labels.ALERTS)
    def state(self, row: HrvAlert) -> str:
        """Show whether it is open."""
        return row.status

    @display(description="Person")
    @once
    def person(self, row: HrvAlert) -> SafeString | str:
        """Link to the person."""
        return link(row.subject)

    @display(description="Why")
    def evidence_line(self, row: HrvAlert) -> str:
        """Say which rule spoke; values are on the alert's own page."""
        # Of the annotation in get_queryset.
        return why(row, state=row.baseline_state)  # type: ignore[attr-defined]

    @display(description="Rules that spoke, by code")
    def rules(self, row: HrvAlert) -> str:
        """Show the reason codes."""
        return ", ".join(row.reasons) or NOTHING

    @display(description="Raised (UTC)")
    def raised(self, row: HrvAlert) -> SafeString | str:
        """Show when."""
        return moment(row.raised_at)

    @display(description="Acknowledged")
    def acknowledged(self, row: HrvAlert) -> str:
        """Show by whom and as what, also from before it was raised again."""
        if not row.acknowledged_by:
            return NOTHING
        said = f"{row.acknowledged_by}, {row.feedback or 'no answer'}"
        if row.acknowledged_at is None:
            return f"not since it was raised again. Before: {said}"
        return said

    @display(description="What was found or done")
    def found(self, row: HrvAlert) -> str:
        """Show the note of whoever acknowledged it."""
        return row.note or NOTHING

    @display(description="Night as judged")
    @once
    def its_night(self, row: HrvAlert) -> SafeString | str:
        """Link to the night that was judged."""
        return link(row.hrv_night)

    @display(description="From deliveries")
    @once
    def came_from(self, row: HrvAlert) -> SafeString | str:
        """Link to the deliveries that led to it, whose pages tell their whole way."""
        return bullets([trail_link(one) for one in deliveries_of(row)])

    @display(description="Messages")
    @once
    def its_messages(self, row: HrvAlert) -> SafeString | str:
        """Link to what was handed to Kafka."""
        rows = first(row.messages.order_by("id"))
        return bullets([link(m, f"{m.event_type}: {m.status}") for m in rows])

    @display(description="Evidence as stored")
    @once
    def all_evidence(self, row: HrvAlert) -> SafeString | str:
        """Show everything that led to it."""
        return pretty(row.evidence)

    @action(description="Acknowledge", permissions=["operate"])
    def acknowledge(
        self, request: HttpRequest, queryset: QuerySet[HrvAlert]
    ) -> HttpResponse | None:
        """Ask what was found, then mark the open ones as seen."""
        verb = Verb(
            name="acknowledge",
            title="Acknowledge",
            effect="The open ones among the selected alerts are marked as seen by you.",
            act=_acknowledge,
            form=AcknowledgeForm,
        )
        return confirm(self, request, queryset, verb)


class AcknowledgeForm(ReasonForm):
    """What the alert was worth, and what was found."""

    feedback = forms.ChoiceField(
        label="What was it worth?",
        # Nothing is chosen beforehand: a habit of clicking would be counted as praise.
        choices=[("", "Choose"), *Feedback.choices],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("feedback", "reason")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["reason"].label = "What you found or did"


def _acknowledge(
    request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]
) -> str:
    count = staff.acknowledge(
        rows.values_list("pk", flat=True),
        feedback=Feedback(said["feedback"]),
        note=said["reason"],
        actor=request.user.get_username(),
        now=timezone.now(),
    )
    return f"{plural(count, 'alert')} acknowledged."

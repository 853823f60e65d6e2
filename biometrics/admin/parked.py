"""People whose messages wait for a decision, and the page of all that is parked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from biometrics import reasons
from biometrics.admin import parked_work
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.filters import UtcRangeFilter
from biometrics.admin.parked_work import act_on_queues
from biometrics.admin.reasons import Verb, confirm
from biometrics.admin.shown import link, list_link, moment, once
from biometrics.models import OutboxMessage, ParkedQueue, Subject
from biometrics.models.outbox import MessageStatus


@admin.register(ParkedQueue)
class ParkedQueueAdmin(ReadOnlyAdmin[ParkedQueue]):
    """People whose messages wait for a decision."""

    nothing_yet = (
        "Nobody's messages wait. What Kafka refuses comes here, with what to do."
    )
    of_others = {"stuck_at": OutboxMessage, "waiting": OutboxMessage}

    list_display = ("since_utc", "person", "code", "reason", "waiting")
    list_filter = (("code", ChoicesDropdownFilter), ("since", UtcRangeFilter))
    search_fields = ("subject__exact",)
    ordering = ("since",)
    actions = ("fix_messages", "retry_queues", "skip_messages")
    fields = ("person", "why", "next_step", "since_utc", "stuck_at", "waiting")
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        """Add the page of all parked work, and the page of each of its verbs."""
        view = self.admin_site.admin_view
        return [
            path("work/", view(self.work), name="biometrics_parked"),
            path(
                "work/<slug:kind>/<slug:verb>/",
                view(self.work_verb),
                name="biometrics_parked_verb",
            ),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ParkedQueue]:
        """Bring everybody's label along."""
        rows: QuerySet[ParkedQueue] = super().get_queryset(request)
        people = Subject.objects.filter(pk=OuterRef("subject"))
        return rows.annotate(label=Subquery(people.values("label")[:1]))

    def work(self, request: HttpRequest) -> HttpResponse:
        """Show what is stuck, by reason."""
        return parked_work.show(self, request)

    def work_verb(self, request: HttpRequest, kind: str, verb: str) -> HttpResponse:
        """Ask for a reason, then do it."""
        return parked_work.act(self, request, kind=kind, verb=verb)

    @display(description="Since (UTC)", ordering="since")
    def since_utc(self, row: ParkedQueue) -> SafeString | str:
        """Show since when."""
        return moment(row.since)

    @display(description="Person")
    def person(self, row: ParkedQueue) -> SafeString | str:
        """Link to the person."""
        label: str | None = row.label  # type: ignore[attr-defined]
        return (
            str(row.subject) if label is None else link(Subject(pk=row.subject), label)
        )

    @display(description="Why")
    def why(self, row: ParkedQueue) -> str:
        """Say in words why it waits."""
        return f"{reasons.of_queue(row.code).why} {row.reason}"

    @display(description="Next step")
    def next_step(self, row: ParkedQueue) -> str:
        """Say what to do."""
        return reasons.of_queue(row.code).next_step

    @display(description="Stuck at")
    @once
    def stuck_at(self, row: ParkedQueue) -> SafeString | str:
        """Link to the message that was refused."""
        return link(OutboxMessage.objects.filter(pk=row.from_id).first())

    @display(description="Messages")
    def waiting(self, row: ParkedQueue) -> SafeString | str:
        """Link to what waits."""
        return list_link(
            OutboxMessage, "show", q=row.subject, status__exact=MessageStatus.PARKED
        )

    @action(description="Fix the refused message", permissions=["operate"])
    def fix_messages(
        self, request: HttpRequest, queryset: QuerySet[ParkedQueue]
    ) -> HttpResponse | None:
        """Ask for a reason, then make the refused messages anew."""
        return confirm(self, request, queryset, _verb("fix_messages", "fix"))

    @action(description="Retry", permissions=["operate"])
    def retry_queues(
        self, request: HttpRequest, queryset: QuerySet[ParkedQueue]
    ) -> HttpResponse | None:
        """Ask for a reason, then let the queues flow."""
        return confirm(self, request, queryset, _verb("retry_queues", "retry"))

    @action(description="Skip the refused message", permissions=["operate"])
    def skip_messages(
        self, request: HttpRequest, queryset: QuerySet[ParkedQueue]
    ) -> HttpResponse | None:
        """Ask for a reason, then give the refused messages up."""
        return confirm(self, request, queryset, _verb("skip_messages", "skip"))


def _verb(name: str, verb: str) -> Verb:
    def act(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
        return act_on_queues(request, rows, verb=verb, reason=said["reason"])

    return Verb(
        name=name,
        title=verb.capitalize(),
        effect=parked_work.EFFECTS["queues", verb],
        act=act,
    )

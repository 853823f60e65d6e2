"""Circuits in the admin: pages to look and act, and a read-only history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from resilience import wording
from resilience.models import BreakerMode, BreakerTransition
from resilience.views import (
    BreakerActionView,
    BreakerDetailView,
    BreakerListView,
    detail_url,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


class ReadOnlyAdmin(ModelAdmin):
    """Shows rows and changes none."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows by hand."""
        return False


@admin.register(BreakerMode)
class BreakerAdmin(ReadOnlyAdmin):
    """The pages of the circuits, which live in the store rather than in this table."""

    def get_urls(self) -> list[URLPattern]:
        """Return the list, a page for each circuit, and a page for each action."""
        views: list[tuple[str, Callable[..., Any], str]] = [
            ("", BreakerListView.as_view(model_admin=self), "changelist"),
            ("<int:object_id>/change/", self.to_circuit, "change"),
            ("<str:breaker>/", BreakerDetailView.as_view(model_admin=self), "detail"),
            (
                "<str:breaker>/<slug:action>/",
                BreakerActionView.as_view(model_admin=self),
                "action",
            ),
        ]
        # An action is a transaction of its own, even where requests are ones.
        return [
            path(
                route,
                transaction.non_atomic_requests(self.admin_site.admin_view(view)),
                name=f"resilience_breakermode_{name}",
            )
            for route, view, name in views
        ]

    def to_circuit(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Lead from an entry of the admin's log to the circuit's page."""
        row = get_object_or_404(BreakerMode, pk=object_id)
        return HttpResponseRedirect(detail_url(row.breaker))


@admin.register(BreakerTransition)
class BreakerTransitionAdmin(ReadOnlyAdmin):
    """The history of every circuit: what changed, why, and who said so."""

    nothing_yet = "No circuit has changed yet: none opened, and nobody operated one."
    list_display = ("at_utc", "breaker", "change", "why", "who")
    list_filter = (
        "breaker",
        ("new_state", ChoicesDropdownFilter),
        ("new_mode", ChoicesDropdownFilter),
        ("at", RangeDateTimeFilter),
    )
    list_filter_submit = True
    list_per_page = 25
    list_disable_select_all = True
    ordering = ("-at", "-epoch")
    search_fields = ("breaker", "reason", "actor")
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    @admin.display(description="Time (UTC)", ordering="at")
    def at_utc(self, row: BreakerTransition) -> str:
        """Return the time by the store's clock."""
        return f"{row.at:%Y-%m-%d %H:%M:%S}"

    @display(
        description="Change",
        label={
            "closed": "success",
            "half_open": "warning",
            "open": "danger",
            "auto": "success",
            "observe": "info",
            "disabled": "warning",
            "forced_open": "danger",
        },
    )
    def change(self, row: BreakerTransition) -> tuple[str, str]:
        """Return what the circuit became, coloured by what that means for calls."""
        if row.old_mode != row.new_mode:
            said = f"mode {row.old_mode} → {row.new_mode}"
            return row.new_mode, said.replace("_", " ")
        said = f"{row.old_state} → {row.new_state}"
        return row.new_state, said.replace("_", " ")

    @admin.display(description="Why")
    def why(self, row: BreakerTransition) -> str:
        """Return the cause, with what was counted."""
        said = row.reason or row.error
        return f"{wording.cause_of(row.cause)}{': ' + said if said else ''}"

    @admin.display(description="Who", empty_value="the machine")
    def who(self, row: BreakerTransition) -> str | None:
        """Return the operator, if there was one."""
        return row.actor or None

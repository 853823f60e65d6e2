"""The breaker pages of the admin: look at all, look at one, act with a reason.

Only a POST changes anything. A name such as ``vendor:oura`` breaks the row actions of the
admin theme, so each action is a page of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import Http404, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.generic import FormView, TemplateView
from unfold.views import UnfoldModelAdminViewMixin
from unfold.widgets import UnfoldAdminTextareaWidget

from resilience import control, wording
from resilience.errors import ResilienceError, StoreUnavailableError
from resilience.models import BreakerMode, BreakerTransition
from resilience.pages import PAGES, ActionPage
from resilience.registry import current
from resilience.states import REASON_LENGTH, Mode
from resilience.timeline import timeline

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from resilience.snapshot import Snapshot

HISTORY_ROWS = 30
VIEW = "resilience.view_breakermode"
OPERATE = "resilience.operate_breaker"
VIEW_HISTORY = "resilience.view_breakertransition"


class ReasonForm(forms.Form):
    """Why somebody acts; kept in the history and in the admin's log."""

    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the history beside your name. No personal data, no measured values.",
    )


class BreakerListView(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]
    """What is cut off, why, until when?"""

    title = "All circuits"
    permission_required = (VIEW,)
    template_name = "resilience/breaker_list.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give one row for each circuit, the ones in trouble first."""
        now = datetime.now(tz=UTC)
        snapshots = [_snapshot(name) for name in control.known_names()]
        snapshots.sort(key=lambda s: (s.is_at_rest, s.name))
        return super().get_context_data(
            rows=[_row(snapshot, now=now) for snapshot in snapshots],
            summary=_summary(snapshots),
            store_up=all(snapshot.store_up for snapshot in snapshots),
            sees_history=self.request.user.has_perm(VIEW_HISTORY),
            now=now,
            **kwargs,
        )


class BreakerDetailView(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]
    """One circuit: what it does now, its last day, its history, what can be done."""

    permission_required = (VIEW,)
    template_name = "resilience/breaker_detail.html"

    @property
    def title(self) -> str:
        """Return the circuit's name."""
        return str(self.kwargs["breaker"])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give the circuit, its timeline, its history and the actions."""
        name = _known_or_404(self.kwargs["breaker"])
        now = datetime.now(tz=UTC)
        snapshot = _snapshot(name)
        rows = list(
            BreakerTransition.objects.filter(breaker=name).order_by("-epoch")[
                :HISTORY_ROWS
            ]
        )
        return super().get_context_data(
            row=_row(snapshot, now=now),
            history=_history(rows, now=now),
            timeline=timeline(name, now=now),
            actions=PAGES.values(),
            may_operate=self.request.user.has_perm(OPERATE),
            sees_history=self.request.user.has_perm(VIEW_HISTORY),
            now=now,
            **kwargs,
        )


class BreakerActionView(UnfoldModelAdminViewMixin, FormView):  # type: ignore[misc, type-arg]
    """One action on one circuit: its effect, its undo, a required reason."""

    permission_required = (VIEW, OPERATE)
    template_name = "resilience/breaker_action.html"
    form_class = ReasonForm

    @cached_property
    def page(self) -> ActionPage:
        """Return the action that the address names."""
        page = PAGES.get(self.kwargs["action"])
        if page is None:
            msg = "There is no such action."
            raise Http404(msg)
        return page

    @property
    def title(self) -> str:
        """Return the action and the circuit."""
        return f"{self.page.verb}: {self.kwargs['breaker']}"

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Answer 404 for a circuit that nobody knows, but only to those who may ask."""
        if self.has_permission():
            _known_or_404(self.kwargs["breaker"])
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give the circuit as it is and what the action will do."""
        now = datetime.now(tz=UTC)
        snapshot = _snapshot(self.kwargs["breaker"])
        return super().get_context_data(
            row=_row(snapshot, now=now), page=self.page, **kwargs
        )

    def form_valid(self, form: ReasonForm) -> HttpResponse:
        """Act, log who and why, and return to the circuit."""
        name: str = self.kwargs["breaker"]
        reason: str = form.cleaned_data["reason"]
        try:
            control.operate(
                name,
                action=self.page.action,
                actor=self.request.user.get_username(),
                reason=reason,
            )
        except ResilienceError as error:
            form.add_error(None, f"Nothing was changed. {error}")
            response = self.render_to_response(self.get_context_data(form=form))
            if isinstance(error, StoreUnavailableError):
                response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            return response
        self._log(name, reason)
        messages.success(self.request, f"{name}: {self.page.verb.lower()} is in force.")
        return HttpResponseRedirect(detail_url(name))

    def _log(self, name: str, reason: str) -> None:
        LogEntry.objects.log_actions(
            user_id=self.request.user.pk or 0,
            queryset=BreakerMode.objects.filter(breaker=name),
            action_flag=CHANGE,
            change_message=f"{self.page.verb}: {reason}",
        )


def detail_url(name: str) -> str:
    """Return the address of a circuit's page."""
    return reverse("admin:resilience_breakermode_detail", args=[name])


def _known_or_404(name: str) -> str:
    try:
        control.require_known(name)
    except control.UnknownBreakerError as error:
        raise Http404(str(error)) from error
    return name


def _snapshot(name: str) -> Snapshot:
    return current().get(name).snapshot()


def _summary(snapshots: list[Snapshot]) -> str:
    if not snapshots:
        return "No circuit is in the settings or in use."
    troubled = [s.name for s in snapshots if not s.is_at_rest]
    if troubled:
        return (
            f"{len(troubled)} of {len(snapshots)} need a look: {', '.join(troubled)}."
        )
    return f"All {len(snapshots)} circuits are closed; nothing is cut off."


def _row(snapshot: Snapshot, *, now: datetime) -> dict[str, object]:
    shown_since = snapshot.since if snapshot.mode is Mode.AUTO else snapshot.mode_since
    return {
        "name": snapshot.name,
        "url": detail_url(snapshot.name),
        "snapshot": snapshot,
        "state": str(snapshot.state).replace("_", " "),
        "mode": str(snapshot.mode).replace("_", " "),
        "since": shown_since,
        "age": wording.age((now - shown_since).total_seconds()),
        "next_probe": wording.next_probe(snapshot),
        "sentence": wording.sentence(snapshot, now=now),
        "is_refusing": snapshot.is_refusing,
        "is_at_rest": snapshot.is_at_rest,
    }


def _history(
    rows: list[BreakerTransition], *, now: datetime
) -> list[dict[str, object]]:
    ends = [now, *(row.at for row in rows)]
    return [
        {
            "row": row,
            "cause": wording.cause_of(row.cause),
            "lasted": wording.age((end - row.at).total_seconds()),
        }
        for row, end in zip(rows, ends, strict=False)
    ]

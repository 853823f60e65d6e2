"""The alerts inbox: the worst first, why in one line, seen to with one click."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from biometrics.admin.base import safe_next
from biometrics.alerts import explaining, staff
from biometrics.models import HrvAlert
from biometrics.models.hrv import AlertStatus, Feedback

LIST = "admin:biometrics_hrvalert_changelist"
_TABS = (("Open", "open"), ("Acknowledged", "acknowledged"), ("All", ""))
_SHORT = {
    Feedback.USEFUL: "Useful",
    Feedback.EXPLAINED: "Explained",
    Feedback.NO_IDEA: "No idea",
}


def open_url() -> str:
    """Return the address of the open ones, which is the inbox."""
    return f"{reverse(LIST)}?status__exact={AlertStatus.OPEN}"


def tabs(request: HttpRequest) -> list[dict[str, object]]:
    """Return the inbox's tabs, the one that is shown marked."""
    shown = request.GET.get("status__exact", "")
    return [
        {
            "title": title,
            "url": reverse(LIST) + (f"?status__exact={status}" if status else ""),
            "is_shown": status == shown,
        }
        for title, status in _TABS
    ]


def ordering(request: HttpRequest) -> tuple[object, ...]:
    """Return the order: of open ones the worst, of all the newest come first."""
    if request.GET.get("status__exact") == AlertStatus.OPEN:
        return explaining.WORST_FIRST
    return ("-raised_at",)


def age(at: datetime, *, now: datetime) -> str:
    """Return how long ago something was, in one unit."""
    minutes = max(0, int((now - at).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def answers(alert: HrvAlert, *, here: str) -> SafeString:
    """Return the buttons that say what the alert was worth; they submit their form."""
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[alert.pk])
    query = urlencode({"next": here, "seen": staff.state_of(alert)})
    verb = "Acknowledge" if alert.status == AlertStatus.OPEN else "Answer for"
    return format_html(
        '<span class="console-answers">{}</span>',
        format_html_join(
            "",
            '<button type="submit" class="console-answer" formmethod="post"'
            ' formaction="{}?{}" name="feedback" value="{}" title="{}"'
            ' aria-label="{} alert of {}: {}">{}</button>',
            (
                (
                    *(url, query, choice.value, choice.label),
                    *(verb, alert.night, choice.label, _SHORT[choice]),
                )
                for choice in Feedback
            ),
        ),
    )


@require_POST
def acknowledge(
    request: HttpRequest, key: UUID, *, now: datetime, may: bool
) -> HttpResponse:
    """Note what one alert was worth, whatever became of it, and go back."""
    if not may:
        raise PermissionDenied
    said = request.POST.get("feedback", "")
    if said not in Feedback.values:
        messages.error(request, "Say what the alert was worth: nothing was changed.")
        return HttpResponseRedirect(safe_next(request, default=open_url()))
    feedback = Feedback(said)
    before = staff.answer(
        key,
        seen=request.GET.get("seen", ""),
        feedback=feedback,
        note=request.POST.get("note", "").strip()[:300] or feedback.label,
        actor=request.user.get_username(),
        now=now,
    )
    if before is None:
        messages.warning(
            request, "It is not as the page showed it any more: nothing was changed."
        )
    elif before == AlertStatus.OPEN:
        messages.success(request, f"Acknowledged. {feedback.label}.")
    else:
        messages.success(request, f"Noted; the alert stays {before}. {feedback.label}.")
    return HttpResponseRedirect(safe_next(request, default=open_url()))

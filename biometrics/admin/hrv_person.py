"""A person's nights, above the fields of their page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from biometrics.admin.hrv_chart import SPANS, of_person
from biometrics.admin.reveal import WITHHELD, is_revealed, may_reveal, offer
from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.models import Subject

_DEFAULT_DAYS = 90


def person_context(request: HttpRequest, subject: Subject) -> dict[str, Any]:
    """Return what the template asks for; values only after a reveal."""
    key = subject.pk
    context: dict[str, Any] = {"limits_of_use": LIMITS_OF_USE}
    if not is_revealed(request, key):
        place = offer(key, here=request.path) if may_reveal(request) else WITHHELD
        return {**context, "place": place}
    days = _days(request)
    charts = of_person(subject, days=days, today=timezone.now().date())
    return {
        **context,
        "is_revealed": True,
        "charts": charts,
        "spans": SPANS,
        "days": days,
    }


def _days(request: HttpRequest) -> int:
    """Return for how many days the page asks; anything else is the default."""
    asked = request.GET.get("days", "")
    return next((span for span in SPANS if str(span) == asked), _DEFAULT_DAYS)

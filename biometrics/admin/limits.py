"""Pages about alerts say first what alerts are not for."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from biometrics.admin.reveal import HidingAdmin
from biometrics.alerts.wording import LIMITS_OF_USE

ModelT = TypeVar("ModelT", bound=Model)

_TEMPLATE = "admin/biometrics/hrv_limits.html"


class LimitedAdmin(HidingAdmin[ModelT]):
    """A list and a page that begin with the limits of use."""

    list_before_template = _TEMPLATE
    change_form_before_template = _TEMPLATE

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the limits of use to the list."""
        page: HttpResponse = super().changelist_view(request, _limited(extra_context))
        return page

    def page_context(self, request: HttpRequest, row: ModelT) -> dict[str, Any]:
        """Add the limits of use to the page."""
        return _limited(super().page_context(request, row))


def _limited(context: dict[str, Any] | None) -> dict[str, Any]:
    return {**(context or {}), "limits_of_use": LIMITS_OF_USE}

"""Who looks at the page that is being made, for whatever puts rows of tables on it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

_viewer: ContextVar[Any] = ContextVar("viewer", default=None)


class ViewerMiddleware:
    """Remembers, while a page is made and rendered, for whom."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Make the page for the request's user; off the staff's pages, for nobody."""
        is_staff_page = request.path.startswith(reverse("admin:index"))
        # A user that nobody has looked at yet would ask the database where it may not.
        token = _viewer.set(request.user if is_staff_page else AnonymousUser())
        try:
            return self._get_response(request)
        finally:
            _viewer.reset(token)


def may_view(model: type[Model]) -> bool:
    """Say whether whoever looks at the page may see this table.

    Outside of a request nobody looks, and nothing is left out.
    """
    user, opts = _viewer.get(), model._meta  # noqa: SLF001 - Django's own way to the label
    return user is None or user.has_perm(f"{opts.app_label}.view_{opts.model_name}")

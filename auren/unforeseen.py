"""What callers of Django's pages are told when something failed that nobody caught."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError

_AWAY = (OperationalError, InterfaceError, NoConnectionFreeError)
_RETRY_AFTER_S = 5


def answer(request: HttpRequest) -> HttpResponse:
    """Say 503 while the database is away or too busy, else a plain 500."""
    if not isinstance(sys.exception(), _AWAY):
        return defaults.server_error(request)
    return JsonResponse(
        {"error": "unavailable", "detail": "The database is away; try again shortly."},
        status=503,
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )

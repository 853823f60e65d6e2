"""What callers of Django's pages are told when nobody caught what went wrong.

Django's own answers look for a token in the form of the request, and raise again where
the form cannot be read: these look at nothing but the error.
"""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError

_AWAY = (OperationalError, InterfaceError, NoConnectionFreeError)
_RETRY_AFTER_S = 5
_PAGE = '<!doctype html>\n<html lang="en">\n<title>{0}</title>\n<h1>{0}</h1>\n</html>\n'


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say 400."""
    return _page("Bad request", 400)


def forbidden(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say 403."""
    return _page("Forbidden", 403)


def not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say 404."""
    return _page("Not found", 404)


def failed(_request: HttpRequest) -> HttpResponse:
    """Say 503 while the database is away or too busy, 400 for NUL in a question, else 500."""
    error = sys.exception()
    if isinstance(error, _AWAY):
        detail = "The database is away; try again shortly."
        return JsonResponse(
            {"error": "unavailable", "detail": detail},
            status=503,
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
    # psycopg2 refuses to send it; no text that is stored or looked for has one.
    if isinstance(error, ValueError) and "NUL (0x00)" in str(error):
        return _page("Bad request", 400)
    return _page("Server error", 500)


def _page(title: str, status: int) -> HttpResponse:
    return HttpResponse(_PAGE.format(title), status=status)

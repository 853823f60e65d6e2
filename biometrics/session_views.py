"""Where apps on phones get and renew their tokens; the paths are their vendor's."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from biometrics.connections import sessions
from biometrics.connections.sessions import Pair
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    MalformedPayloadError,
    SignatureError,
    UnknownAccountError,
)

logger = logging.getLogger(__name__)

_STATUS: dict[type[BiometricsError], tuple[int, str]] = {
    MalformedPayloadError: (400, "malformed"),
    SignatureError: (401, "unauthenticated"),
    UnknownAccountError: (404, "unknown_user"),
    ConfigurationError: (503, "not_configured"),
}
_LONGEST_BODY = 16 * 1024
# Somebody has to set what is missing.
_RETRY_AFTER_S = 60


@csrf_exempt
@never_cache
@require_POST
def issue(request: HttpRequest, vendor: str, user_id: str) -> HttpResponse:
    """Give an app that proves itself a pair of tokens for one person."""
    try:
        app_id, app_secret = _texts(request, "app_id", "app_secret")
        pair = sessions.sign_in(
            vendor=vendor,
            account_id=user_id,
            app_id=app_id,
            app_secret=app_secret,
            now=timezone.now(),
        )
    except BiometricsError as error:
        return _refusal(error, vendor=vendor)
    return _answer(pair)


@csrf_exempt
@never_cache
@require_POST
def refresh(request: HttpRequest, vendor: str) -> HttpResponse:
    """Give a new pair for a refresh token."""
    try:
        (token,) = _texts(request, "refresh_token")
        pair = sessions.renew(refresh_token=token, now=timezone.now())
    except BiometricsError as error:
        return _refusal(error, vendor=vendor)
    return _answer(pair)


@csrf_exempt
@never_cache
@require_POST
def revoke(request: HttpRequest, vendor: str) -> HttpResponse:
    """End a session. Of a token that is not known it is as true that it has ended."""
    try:
        (token,) = _texts(request, "refresh_token")
        sessions.end(refresh_token=token)
    except BiometricsError as error:
        return _refusal(error, vendor=vendor)
    return HttpResponse(status=204)


def _texts(request: HttpRequest, *names: str) -> list[str]:
    """Return these fields of the body; raises MalformedPayloadError naming one."""
    body = request.read(_LONGEST_BODY + 1)
    try:
        said = orjson.loads(body) if len(body) <= _LONGEST_BODY else None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise MalformedPayloadError("malformed", "The body is no JSON object.")
    found = []
    for name in names:
        value = said.get(name)
        if not isinstance(value, str) or not value:
            message = f"Field {name} is missing or no text."
            raise MalformedPayloadError("malformed", message)
        found.append(value)
    return found


def _answer(pair: Pair) -> HttpResponse:
    return _json(
        200,
        {
            "access_token": pair.access_token,
            "token_type": "bearer",
            "refresh_token": pair.refresh_token,
            "expires_in": int(sessions.ACCESS_LIFE.total_seconds()),
        },
    )


def _refusal(error: BiometricsError, *, vendor: str) -> HttpResponse:
    status, code = next(
        answer for kind, answer in _STATUS.items() if isinstance(error, kind)
    )
    level = logging.ERROR if status == 503 else logging.WARNING
    logger.log(level, "session.refused", extra={"vendor": vendor, "reason": code})
    response = _json(status, {"error": code, "detail": str(error)})
    if status == 503:
        response["Retry-After"] = str(_RETRY_AFTER_S)
    return response


def _json(status: int, payload: dict[str, Any]) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(payload), status=status, content_type="application/json"
    )

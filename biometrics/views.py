"""Step 1: webhooks come in, run on the event loop, and leave with an honest answer."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from biometrics import ingest, metrics
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    ForbiddenAccountError,
    MalformedPayloadError,
    OverloadedError,
    SignatureError,
    StoreUnavailableError,
    UnknownVendorError,
    WebhookError,
)
from biometrics.intake import runtime as intake
from biometrics.intake.rows import RowRefusedError
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import InboundRequest

logger = logging.getLogger(__name__)

_JSON = JSONRenderer()
# Looking a metric's labels up takes longer than counting.
_seconds = cache(metrics.INTAKE_SECONDS.labels)

# The whole mapping of errors to HTTP: class -> (status, code, seconds to wait).
_ANSWERS: dict[type[BiometricsError], tuple[int, str, int | None]] = {
    SignatureError: (401, "unauthenticated", None),
    ForbiddenAccountError: (403, "forbidden", None),
    MalformedPayloadError: (400, "malformed", None),
    UnknownVendorError: (404, "unknown_vendor", None),
    OverloadedError: (503, "busy", 1),
    StoreUnavailableError: (503, "unavailable", 2),
    RowRefusedError: (503, "unavailable", 30),
    ConfigurationError: (503, "not_configured", 60),
}


class WebhookView(APIView):
    """One vendor's address. DRF's request and errors, without a thread per request."""

    authentication_classes = ()
    parser_classes = ()
    permission_classes = ()

    async def dispatch(  # type: ignore[override]
        self, request: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Do what APIView.dispatch does, on the loop; handlers are coroutines."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            self.initial(self.request, *args, **kwargs)
            handler = getattr(self, str(request.method).lower(), None)
            if handler is None or str(request.method).lower() not in {"get", "post"}:
                return _json(
                    405, {"error": "method_not_allowed", "detail": "POST here."}
                )
            response: HttpResponseBase = await handler(self.request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as DRF: the handler re-raises unknown
            response = self.handle_exception(error)
        return response

    def perform_content_negotiation(
        self,
        request: Request,
        force: bool = False,  # noqa: FBT001, FBT002 - as DRF has it
    ) -> tuple[BaseRenderer, str]:
        """Answer JSON whatever the sender says it accepts: no vendor reads anything else."""
        return _JSON, _JSON.media_type

    def perform_authentication(self, request: Request) -> None:
        """Ask for no user: the sender is proven by what it signed, not by who it is."""

    async def post(
        self, request: Request, *, vendor: str, **_kwargs: Any
    ) -> HttpResponse:
        """Take a delivery: stored before the answer, or not acknowledged."""
        adapter = get_adapter(vendor)
        inbound = _inbound(request)
        current = intake.current()
        with current.gate.slot(), _seconds(vendor).time():
            admitted = await ingest.admit(inbound, adapter=adapter, runtime=current)
        return _json(admitted.status, dict(admitted.payload))

    async def get(
        self, request: Request, *, vendor: str, **_kwargs: Any
    ) -> HttpResponse:
        """Answer a vendor's handshake."""
        adapter = get_adapter(vendor)
        answer = ingest.handshake(_inbound(request), adapter=adapter)
        if answer is None:
            return _json(405, {"error": "method_not_allowed", "detail": "POST here."})
        return _json(answer.status, dict(answer.payload))


def handle_error(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Turn a raised error into its answer; None lets an unforeseen one be a 500."""
    vendor = str(context.get("kwargs", {}).get("vendor", "unknown"))
    if isinstance(error, APIException):
        return _json(
            error.status_code, {"error": "refused", "detail": str(error.detail)}
        )
    for kind, (status, code, wait) in _ANSWERS.items():
        if isinstance(error, kind):
            return _refusal(error, vendor=vendor, status=status, code=code, wait=wait)
    return None


def _refusal(
    error: BiometricsError, *, vendor: str, status: int, code: str, wait: int | None
) -> HttpResponse:
    reason = error.reason if isinstance(error, WebhookError) else code
    known = not isinstance(error, UnknownVendorError)
    metrics.DELIVERIES.labels(vendor if known else "unknown", code).inc()
    level = logging.ERROR if isinstance(error, ConfigurationError) else logging.INFO
    logger.log(
        level,
        "delivery.refused",
        extra={"vendor": vendor if known else "unknown", "reason": reason},
    )
    response = _json(status, {"error": code, "detail": str(error)})
    if wait is not None:
        response["Retry-After"] = str(wait)
    return response


def _json(status: int, payload: dict[str, Any]) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(payload), status=status, content_type="application/json"
    )


def _inbound(request: Request) -> InboundRequest:
    """Return the request as adapters see it; names lower case, order and doubles kept."""
    # ASGIRequest keeps the raw headers; DRF wraps it.
    raw = request._request  # noqa: SLF001
    scope = raw.scope  # type: ignore[attr-defined]
    asked = scope.get("query_string", b"")
    query = parse_qsl(asked.decode("latin-1")) if asked else []
    return InboundRequest(
        method=str(request.method),
        path=scope["path"],
        headers=[
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        ],
        query=dict(query),
        body=raw.body,
        received_at=timezone.now(),
    )

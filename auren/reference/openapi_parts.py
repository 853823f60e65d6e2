"""What the descriptions of addresses are made of: answers, refusals, and a view for them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

_REFUSALS = {
    400: "Not the expected format. A proven sender's bytes are kept.",
    401: "The sender is not proven; nothing is stored.",
    403: "A genuine token that speaks for another person.",
    404: "Nobody is connected under this user id.",
    413: "The body is larger than this address takes.",
    503: "Not now: busy, the body did not arrive in time, the database is away, or no "
    "secret is set. Send it again after the seconds of `Retry-After`; nothing was "
    "acknowledged.",
}


class Refusal(serializers.Serializer[Any]):
    """What every refusal says: a code for programs, and what to do."""

    error = serializers.CharField()
    detail = serializers.CharField()


class Admitted(serializers.Serializer[Any]):
    """A delivery that is on disk; a vendor's senders may get further keys."""

    status = serializers.ChoiceField(choices=["accepted", "duplicate", "ignored"])
    id = serializers.UUIDField()


class TokenPair(serializers.Serializer[Any]):
    """Tokens of an app; the refresh token works once."""

    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["bearer"])
    refresh_token = serializers.CharField()
    expires_in = serializers.IntegerField()


class Readiness(serializers.Serializer[Any]):
    """Whether deliveries can be accepted, and what ails."""

    status = serializers.ChoiceField(
        choices=["ready", "degraded", "unready", "stopping"]
    )
    reasons = serializers.ListField(child=serializers.CharField())
    held = serializers.DictField(
        child=serializers.ChoiceField(choices=["forced_open", "disabled", "observe"]),
        help_text="Circuits that staff took out of their automatic mode, by name.",
    )


class _Described(APIView):
    # No docstring: it would become the description of each address.
    schema = AutoSchema()
    authentication_classes = ()
    permission_classes = ()


def refused(*statuses: int) -> dict[int, OpenApiResponse]:
    """Return the refusals with these statuses, each with what it means."""
    return {
        status: OpenApiResponse(Refusal, description=_REFUSALS[status])
        for status in statuses
    }


def view(**methods: Any) -> Any:
    """Return a view whose handlers carry these descriptions."""

    def handler() -> Any:
        # One for each method: a description is attached to the function.
        def handle(_self: APIView, _request: Request, **_: Any) -> Response:
            raise NotImplementedError

        # Where extend_schema looks for what it builds upon.
        handle.kwargs = {"schema": AutoSchema}  # type: ignore[attr-defined]
        return handle

    handlers = {name: described(handler()) for name, described in methods.items()}
    return type("Described", (_Described,), handlers).as_view()  # type: ignore[attr-defined]


def html(text: str) -> OpenApiResponse:
    """Return an answer that is a page."""
    return OpenApiResponse(OpenApiTypes.STR, description=text)

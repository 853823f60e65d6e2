"""The HTTP interface as an OpenAPI document, made with drf-spectacular.

The stand-ins below describe the addresses that senders, apps, browsers and probes ask;
tests hold them to the routes and, over HTTP, to the answers. Staff's pages and the live
socket are no interface. Needs the packages of requirements-dev.txt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from auren.reference.openapi_parts import (
    Admitted,
    Readiness,
    Refusal,
    TokenPair,
    html,
    refused,
    view,
)
from biometrics import ingest
from biometrics.vendors.base import TokenRoutes, VendorAdapter
from biometrics.vendors.registry import all_adapters

VERSION = "1.0.0"
_SETTINGS = {
    "TITLE": "AUREN biometric bridge",
    "DESCRIPTION": "What senders of webhooks, apps on phones, people who connect an "
    "account, and probes ask of the bridge. Addresses of webhooks and tokens are the "
    "same with a slash at their end. A head of more than 32 KiB is answered 431.",
    "VERSION": VERSION,
    "SCHEMA_PATH_PREFIX": "",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "personalToken": {"type": "http", "scheme": "bearer"},
            "metricsToken": {"type": "http", "scheme": "bearer"},
        }
    },
}


def page() -> str:
    """Return docs/openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """Return the document; the same code gives the same document."""
    with patched_settings(_SETTINGS):
        generator = SchemaGenerator(patterns=_patterns())  # type: ignore[no-untyped-call]
        made: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


def _patterns() -> list[URLPattern]:
    found = [
        path("health", _health()),
        path("ready", _ready()),
        path("metrics", _metrics()),
        path("connect/<str:token>", _page("connect", "Say what will be asked.")),
        path("connect/<str:token>/start", _departure()),
    ]
    for adapter in all_adapters():
        for number, route in enumerate(
            (f"webhooks/{adapter.slug}", *adapter.url_aliases), start=1
        ):
            name = f"deliver_{adapter.slug}" + (f"_{number}" if number > 1 else "")
            found.append(path(route, _webhook(adapter, name=name)))
        if adapter.token_routes is not None:
            found += _tokens(adapter.slug, adapter.token_routes)
        if adapter.api is not None:
            back = _page(
                f"connect_{adapter.slug}_callback",
                f"Where {adapter.title} sends a browser back to.",
            )
            found.append(path(f"connect/{adapter.slug}/callback", back))
    return found


def _webhook(adapter: VendorAdapter, *, name: str) -> Any:
    answers = {
        200: OpenApiResponse(Admitted, description="On disk, or `ignored` for good."),
        adapter.accepted_status: OpenApiResponse(Admitted, description="On disk."),
        **refused(400, 401, 413, 503),
        **(refused(403) if adapter.personal_tokens else {}),
    }
    limit = ingest.body_cap(adapter) // 2**20
    methods = {
        "post": extend_schema(
            operation_id=name,
            tags=["webhooks"],
            summary=f"Take a delivery of {adapter.title}.",
            description=f"A body may have {limit} MiB"
            + (" (WEBHOOK_MAX_BODY_MB)." if adapter.max_body_bytes is None else "."),
            parameters=[*_proofs(adapter), _traceparent()],
            request={"application/json": {"type": "object"}},
            responses=answers,
            auth=[{"personalToken": []}] if adapter.personal_tokens else [],  # type: ignore[list-item]
        )
    }
    if type(adapter).handshake is not VendorAdapter.handshake:
        methods["get"] = _handshake(adapter)
    return view(**methods)


def _proofs(adapter: VendorAdapter) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(
            name,
            location=OpenApiParameter.HEADER,
            description=f"Proves the sender; see docs/vendors.md for {adapter.title}.",
        )
        for name in adapter.proof_headers
        # OpenAPI has security schemes for that one.
        if name != "authorization"
    ]


def _traceparent() -> OpenApiParameter:
    return OpenApiParameter(
        "traceparent",
        location=OpenApiParameter.HEADER,
        description="W3C trace context; comes out as a header of the records.",
    )


def _handshake(adapter: VendorAdapter) -> Any:
    return extend_schema(
        operation_id=f"handshake_{adapter.slug}",
        tags=["webhooks"],
        summary=f"Answer {adapter.title}'s check that this address is ours.",
        parameters=[
            OpenApiParameter("verification_token"),
            OpenApiParameter("challenge"),
        ],
        responses={
            200: OpenApiResponse(
                inline_serializer(
                    f"{adapter.slug.title()}Challenge",
                    {"challenge": serializers.CharField()},
                ),
                description="The challenge, given back.",
            ),
            **refused(400, 401, 503),
        },
        auth=[],
    )


def _tokens(slug: str, routes: TokenRoutes) -> list[URLPattern]:
    pair = OpenApiResponse(TokenPair, description="A new pair.")
    ended = OpenApiResponse(description="It has ended.")
    credentials = {"app_id": True, "app_secret": True}
    renewal = {"refresh_token": True}
    described: tuple[tuple[str, str, str, Mapping[str, bool], Any], ...] = (
        (routes.issue, "issue", "Give an app tokens.", credentials, {200: pair}),
        (routes.refresh, "refresh", "Give a new pair.", renewal, {200: pair}),
        (routes.revoke, "revoke", "End a session.", renewal, {204: ended}),
    )
    statuses = {
        "issue": (400, 401, 404, 413, 503),
        "refresh": (400, 401, 413, 503),
        "revoke": (400, 413, 503),
    }
    return [
        path(
            route,
            view(
                post=extend_schema(
                    operation_id=f"{verb}_{slug}_tokens",
                    tags=["tokens"],
                    summary=summary,
                    request={"application/json": _texts(fields)},
                    responses={**answer, **refused(*statuses[verb])},
                    auth=[],
                )
            ),
        )
        for route, verb, summary, fields, answer in described
    ]


def _texts(fields: Mapping[str, bool]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(fields),
        "properties": {name: {"type": "string", "minLength": 1} for name in fields},
    }


def _page(name: str, summary: str) -> Any:
    kind = "text/html"
    return view(
        get=extend_schema(
            operation_id=name,
            tags=["connecting"],
            summary=summary,
            responses={
                (200, kind): html("A page for the person."),
                (400, kind): html("The link or the answer is wrong, old or used."),
                (409, kind): html("The account is somebody else's."),
                (503, kind): html("Not available at the moment."),
            },
            auth=[],
        )
    )


def _departure() -> Any:
    kind = "text/html"
    return view(
        get=extend_schema(
            operation_id="connect_start",
            tags=["connecting"],
            summary="Send the browser to the vendor.",
            responses={
                302: OpenApiResponse(description="To the vendor's consent page."),
                (400, kind): html("The link is wrong, old or used."),
                (503, kind): html("Not available at the moment."),
            },
            auth=[],
        )
    )


def _health() -> Any:
    alive = inline_serializer(
        "Health",
        {
            "status": serializers.ChoiceField(choices=["healthy"]),
            "service": serializers.CharField(),
        },
    )
    return view(
        get=extend_schema(
            operation_id="health",
            tags=["probes"],
            summary="Say that this process serves requests.",
            responses={200: OpenApiResponse(alive, description="It does.")},
            auth=[],
        )
    )


def _ready() -> Any:
    return view(
        get=extend_schema(
            operation_id="ready",
            tags=["probes"],
            summary="Say whether this process can accept deliveries.",
            responses={
                200: OpenApiResponse(Readiness, description="It can."),
                503: OpenApiResponse(
                    Readiness, description="The database is away, or it is stopping."
                ),
            },
            auth=[],
        )
    )


def _metrics() -> Any:
    return view(
        get=extend_schema(
            operation_id="metrics",
            tags=["probes"],
            summary="Return the metrics of this host; docs/metrics.md explains them.",
            responses={
                (200, "text/plain"): OpenApiTypes.STR,
                403: OpenApiResponse(
                    Refusal,
                    description="Neither METRICS_ALLOWED_IPS nor METRICS_TOKEN.",
                ),
            },
            auth=[{}, {"metricsToken": []}],  # type: ignore[list-item]
        )
    )

"""Addresses of step 1: one pattern for all vendors, and what their senders expect."""

from __future__ import annotations

from django.urls import path

from biometrics import connect_views, session_views
from biometrics.vendors.registry import all_adapters
from biometrics.views import WebhookView

_view = WebhookView.as_view()

urlpatterns = [
    path(
        "connect/<slug:vendor>/callback",
        connect_views.callback,
        name="connect-callback",
    ),
    path("connect/<str:token>/start", connect_views.start, name="connect-start"),
    path("connect/<str:token>", connect_views.invite, name="connect"),
    path("webhooks/<slug:vendor>", _view, name="webhook"),
    path("webhooks/<slug:vendor>/", _view),
    *(
        path(f"{alias}{slash}", _view, {"vendor": adapter.slug})
        for adapter in all_adapters()
        for alias in adapter.url_aliases
        for slash in ("", "/")
    ),
    *(
        path(f"{route}{slash}", view, {"vendor": adapter.slug})
        for adapter in all_adapters()
        if adapter.token_routes is not None
        for route, view in (
            (adapter.token_routes.issue, session_views.issue),
            (adapter.token_routes.refresh, session_views.refresh),
            (adapter.token_routes.revoke, session_views.revoke),
        )
        for slash in ("", "/")
    ),
]

"""Addresses of the live socket."""

from __future__ import annotations

from django.urls import path

from biometrics.realtime.consumers import LiveConsumer

websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]

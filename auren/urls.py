"""Where requests go; /webhooks/ and /api/v1/sdk/ never come here in production."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from auren import health

handler400 = "auren.unforeseen.bad_request"
handler403 = "auren.unforeseen.forbidden"
handler404 = "auren.unforeseen.not_found"
handler500 = "auren.unforeseen.failed"

urlpatterns = [
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("", include("biometrics.urls")),
]

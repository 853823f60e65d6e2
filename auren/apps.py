from __future__ import annotations

from django.apps import AppConfig


class AurenConfig(AppConfig):
    name = "auren"
    verbose_name = "AUREN"

from __future__ import annotations

from django.apps import AppConfig


class AurenConfig(AppConfig):
    name = "auren"
    verbose_name = "AUREN"

    def ready(self) -> None:
        """Register the checks that a production bridge must pass."""
        from auren.safety import verdicts  # noqa: F401, PLC0415 - models are loaded now

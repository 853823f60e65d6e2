from __future__ import annotations

from django.apps import AppConfig


class AurenConfig(AppConfig):
    name = "auren"
    verbose_name = "AUREN"

    def ready(self) -> None:
        """Register the checks that a production bridge must pass; name our broker.

        Without the second every process but web and worker would nudge nobody: Celery
        makes up an application with a broker of its own where it knows of none.
        """
        from auren import celery  # noqa: F401, PLC0415 - the settings are there now
        from auren.safety import verdicts  # noqa: F401, PLC0415 - models are loaded now

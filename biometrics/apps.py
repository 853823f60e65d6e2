from __future__ import annotations

from django.apps import AppConfig


class BiometricsConfig(AppConfig):
    name = "biometrics"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Biometric bridge"

    def ready(self) -> None:
        """Register the system checks."""
        from biometrics import checks  # noqa: F401, PLC0415

from __future__ import annotations

from django.apps import AppConfig


class BiometricsConfig(AppConfig):
    name = "biometrics"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Biometric bridge"

    def ready(self) -> None:
        """Register checks and receivers; stop here when the HRV ruleset is not usable."""
        from biometrics import checks, receivers  # noqa: F401, PLC0415
        from biometrics.alerts.configured import configured_ruleset  # noqa: PLC0415

        configured_ruleset()

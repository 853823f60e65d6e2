from __future__ import annotations

from django.apps import AppConfig


class BiometricsConfig(AppConfig):
    name = "biometrics"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Biometric bridge"

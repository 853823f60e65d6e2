from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class ResilienceConfig(AppConfig):
    name = "resilience"
    verbose_name = "Resilience"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Refuse to start with a policy that cannot be meant; begin to keep history."""
        # Models may be imported only now.
        from resilience import history, registry  # noqa: PLC0415
        from resilience.signals import transitioned  # noqa: PLC0415

        registry.check_settings()
        transitioned.connect(
            history.record_at_once, dispatch_uid="resilience.record_at_once"
        )
        setting_changed.connect(_forget, dispatch_uid="resilience.forget")


def _forget(*, setting: str, **_signal: object) -> None:
    """Make breakers anew after a test has changed their settings."""
    from resilience import registry  # noqa: PLC0415 - see ready()

    if setting.startswith("RESILIENCE"):
        registry.clear()

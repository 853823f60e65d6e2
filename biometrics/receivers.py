"""What other apps tell: every act of an operator goes into the audit."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from biometrics import audit
from resilience.protocol import Transition
from resilience.signals import operated
from resilience.snapshot import at_utc


@receiver(operated)
def note_breaker(*, transition: Transition, action: str, **_: Any) -> None:
    """Write down who opened, disabled, observed, freed or reset a circuit, and why."""
    audit.note(
        actor=transition.actor,
        verb=f"breaker.{action}",
        target=f"circuit {transition.breaker}",
        reason=transition.reason,
        now=at_utc(transition.at_ms),
    )

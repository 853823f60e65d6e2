"""Writing down who did what, and why, in the transaction of the act itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from biometrics.errors import BiometricsError
from biometrics.models import AuditEntry

# What stands for the reasons of what was done with an erased person's data.
ERASED = "Erased with the person."


class ReasonMissingError(BiometricsError):
    """An act without a reason is not done."""


def note(
    *,
    actor: str,
    verb: str,
    target: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Store one act; raises ReasonMissingError when `reason` says nothing."""
    if not reason.strip():
        message = f"{verb} needs a reason."
        raise ReasonMissingError(message)
    return AuditEntry.objects.create(
        at=now,
        actor=actor[:150],
        verb=verb[:60],
        target=target[:200],
        reason=reason[:500],
        detail=dict(detail or {}),
    )

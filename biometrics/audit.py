"""Writing down who did what, and why, in the transaction of the act itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from biometrics.errors import BiometricsError
from biometrics.models import AuditEntry

# What stands for the reasons of what was done with an erased person's data.
ERASED = "Erased with the person."


class ReasonMissingError(BiometricsError):
    """An act without a reason is not done."""


# So many ids of rows that an act was done to are named.
MOST_NAMED = 1000


def of_subject(subject: UUID) -> str:
    """Return how a person is named as a target."""
    return f"subject {subject}"


def spellings(key: UUID) -> list[str]:
    """Return every target that may stand for an id, as older entries have it too."""
    kinds = ("subject", "person", "delivery", "alert")
    return [str(key), *(f"{kind} {key}" for kind in kinds)]


def counted(ids: Sequence[UUID], one: str, many: str) -> str:
    """Return the target of an act on several rows; of a single one its id."""
    return f"{one} {ids[0]}" if len(ids) == 1 else f"{len(ids)} {many}"


def named(what: str, ids: Sequence[UUID]) -> dict[str, Any]:
    """Return the detail that names the rows of an act, the first thousand of them."""
    said: dict[str, Any] = {what: [str(one) for one in ids[:MOST_NAMED]]}
    left = len(ids) - MOST_NAMED
    return {**said, "and_more": left} if left > 0 else said


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

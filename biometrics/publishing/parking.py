"""Poison: one person's queue is held back, everybody else flows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from biometrics import bearings, outbox
from biometrics.models import OutboxMessage, ParkedQueue, PublishBatch
from biometrics.models.outbox import ParkCode

logger = logging.getLogger(__name__)

# So many people at once are a broken topic or mapping, not poison.
_MANY = 10
_LATELY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A message that will never be accepted, and why; `traceparent` is its cause's."""

    message_id: int
    subject: UUID
    topic: str
    code: str
    reason: str
    traceparent: str = ""


def refused_alone(*, batch: PublishBatch) -> Refusal | None:
    """Return the message of a refused batch that held nothing else."""
    if not batch.refused or batch.size != 1:
        return None
    message = OutboxMessage.objects.filter(batch=batch).first()
    if message is None:
        return None
    return Refusal(
        message_id=message.id,
        subject=message.subject,
        topic=message.topic,
        code=batch.refused_code or ParkCode.REFUSED,
        reason=batch.refused,
        traceparent=str(message.headers.get("traceparent", "")),
    )


def park(*, refusal: Refusal, now: datetime) -> None:
    """Hold back a person's messages from the refused one on, and say so loudly."""
    outbox.park(
        subject=refusal.subject,
        from_id=refusal.message_id,
        code=refusal.code,
        reason=refusal.reason,
        now=now,
    )
    with bearings.working_on(traceparent=refusal.traceparent):
        logger.error(
            "publish.parked",
            extra={
                "message_id": refusal.message_id,
                "topic": refusal.topic,
                "code": refusal.code,
                "reason": refusal.reason,
            },
        )
    lately = ParkedQueue.objects.filter(since__gte=now - _LATELY).count()
    if lately >= _MANY:
        logger.error("publish.many_parked", extra={"people": lately})

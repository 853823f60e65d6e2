"""What happened to this webhook: one timeline from its receipt to its Kafka records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from biometrics import reasons, trails, waiting
from biometrics.admin.trail_steps import Step, steps_of
from biometrics.admin.words import counted, lasted
from biometrics.models import (
    ParkedQueue,
    WebhookDelivery,
)
from biometrics.models.events import EventStatus
from biometrics.models.intake import DUE_DELIVERY, DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.trails import Found

_DELIVERIES = ("delivery", "deliveries")
_NOT_YET = "Stored, not yet worked on"
_STAYS = "though it was read before, and what it said then stays"

_AT_REST = {
    DeliveryStatus.IGNORED: "Kept, and ignored on purpose: {error}",
    DeliveryStatus.ERASED: "Erased with its person: nothing of it is left.",
    DeliveryStatus.UNLINKED: "Waits for its account {account}. {error}",
    DeliveryStatus.PARKED: "Parked, {fate}. Why: {why} {error} Next: {next_step}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The answer in words, then the steps, and the rows of which they tell."""

    sentence: str
    steps: Sequence[Step]
    found: Found


def trail_of(delivery: WebhookDelivery) -> Trail:
    """Tell the whole way of one delivery, in a fixed number of queries."""
    found = trails.found_of(delivery)
    return Trail(sentence=_sentence(found), steps=steps_of(found), found=found)


def _sentence(found: Found) -> str:
    delivery = found.delivery
    if delivery.status in _AT_REST:
        reason = reasons.of_delivery(delivery.error_code)
        return _AT_REST[DeliveryStatus(delivery.status)].format(
            why=reason.why,
            next_step=reason.next_step,
            error=delivery.error or delivery.error_code or "no reason was kept.",
            account=delivery.account_id or "(none)",
            fate=_STAYS if found.messages else "nothing of it was published",
        )
    if delivery.status == DeliveryStatus.RETRYING:
        return (
            f"Tried {_plural(delivery.attempts, 'time')}, tried again by itself. "
            f"Last problem: {delivery.error}"
        )
    if delivery.status == DeliveryStatus.PENDING:
        return _waiting(found)
    if found.payload is not None:
        return (
            "It named an address. What lay there is a delivery of its own: see below."
        )
    return _of_messages(found)


def _waiting(found: Found) -> str:
    delivery = found.delivery
    earlier = WebhookDelivery.objects.filter(
        DUE_DELIVERY, shard=delivery.shard, pk__lt=delivery.pk
    )
    number = waiting.count(earlier.order_by("shard", "id"))
    before = f"{counted(number, *_DELIVERIES)} of shard {delivery.shard}"
    waits = "Read before, now to be read again" if found.events else _NOT_YET
    return f"{waits}: {before} {'is' if number == 1 else 'are'} before it."


def _of_messages(found: Found) -> str:
    told = _told(found)
    if not found.messages:
        if any(event.status != EventStatus.STALE for event in found.events):
            return f"Understood: {told}, but no message tells of it: see the ledger."
        return f"Understood: {told}. It said nothing new, so nothing was published."
    statuses = {message.status for message in found.messages}
    if MessageStatus.PARKED in statuses:
        return f"Understood: {told}. The person's queue is parked: {_parked(found)}"
    if MessageStatus.DEAD in statuses:
        return f"Understood: {told}. Staff skipped a message; the audit says why."
    if statuses != {MessageStatus.PUBLISHED}:
        waiting = sum(m.status != MessageStatus.PUBLISHED for m in found.messages)
        return f"Understood: {told}. {_plural(waiting, 'message')} on the way to Kafka."
    return _of_published(found, told)


def _of_published(found: Found, told: str) -> str:
    """Tell how long it took when it was read first; what a replay added came later."""
    began = min(message.created_at for message in found.messages)
    first = [m for m in found.messages if m.created_at == began]
    last = max(m.published_at for m in first if m.published_at is not None)
    took = lasted(last - found.delivery.received_at)
    later = len(found.messages) - len(first)
    added = (
        f" {_plural(later, 'record')} of them when it was read again." if later else ""
    )
    return f"Published in {took}: {told}, {_count(found.messages, 'record')}.{added}"


def _told(found: Found) -> str:
    """Count what it said; news of a connection say nothing else."""
    changes = sum(m.event_id is None and m.alert_id is None for m in found.messages)
    if changes and not found.events:
        return f"{_plural(changes, 'change')} of the connection"
    counts = [
        _count(found.events, "event"),
        _count(found.readings, "reading"),
        _count(found.alerts, "alert"),
    ]
    return ", ".join(counts)


def _parked(found: Found) -> str:
    held = [m for m in found.messages if m.status == MessageStatus.PARKED]
    queue = ParkedQueue.objects.filter(subject=held[0].subject).first()
    if queue is None:
        return held[0].error
    reason = reasons.of_queue(queue.code)
    return f"{reason.why} {queue.reason} Next: {reason.next_step}"


def _count(rows: Sequence[object], word: str) -> str:
    """Count what was loaded, and say where there is more."""
    is_cut = len(rows) >= trails.MOST
    return f"{len(rows)} or more {word}s" if is_cut else _plural(len(rows), word)


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

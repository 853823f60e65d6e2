"""What happened to this webhook: one timeline from its receipt to its Kafka records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from biometrics import reasons, trails
from biometrics.admin.base import link, list_link
from biometrics.admin.words import lasted
from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    ParkedQueue,
    Reading,
    WebhookDelivery,
)
from biometrics.models.events import EventStatus
from biometrics.models.intake import DUE_DELIVERY, DeliveryOrigin, DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.trails import Found

# Links beside an event; the list of its record has the others.
_READINGS = 12
_DUE = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)
_NEVER_READ = (DeliveryStatus.IGNORED, DeliveryStatus.ERASED)
_NOT_YET = "Stored, not yet worked on"
_STAYS = "though it was read before, and what it said then stays"

_AT_REST = {
    DeliveryStatus.IGNORED: "Kept, and ignored on purpose: {error}",
    DeliveryStatus.ERASED: "Erased with its person: nothing of it is left.",
    DeliveryStatus.UNLINKED: "Waits for its account {account}. {error}",
    DeliveryStatus.PARKED: "Parked, {fate}. Why: {why} {error} Next: {next_step}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened, or that is still ahead (`at` is None)."""

    title: str
    at: datetime | None
    since: str = ""
    is_slowest: bool = False
    details: Sequence[SafeString | str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The answer in words, then the steps, and the rows of which they tell."""

    sentence: str
    steps: Sequence[Step]
    found: Found


def trail_of(delivery: WebhookDelivery) -> Trail:
    """Tell the whole way of one delivery, in a fixed number of queries."""
    found = trails.found_of(delivery)
    return Trail(sentence=_sentence(found), steps=_marked(found), found=found)


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
    return _of_messages(found)


def _waiting(found: Found) -> str:
    delivery = found.delivery
    before = WebhookDelivery.objects.filter(
        DUE_DELIVERY, shard=delivery.shard, pk__lt=delivery.pk
    ).count()
    waits = "Read before, now to be read again" if found.events else _NOT_YET
    return f"{waits}: {before} deliveries of shard {delivery.shard} are before it."


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


def _marked(found: Found) -> list[Step]:
    """Return the steps, the one that took longest marked."""
    steps = [_received(found.delivery), *_later(found)]
    steps.sort(
        key=lambda step: (step.at is None, step.at or found.delivery.received_at)
    )
    done = [step for step in steps if step.at is not None]
    gaps = [_gap(before, after) for before, after in pairwise(done)]
    slowest = done[gaps.index(max(gaps)) + 1] if any(gaps) else None
    return [
        replace(
            step,
            since=_since(found.delivery, step.at),
            is_slowest=step is slowest,
        )
        for step in steps
    ]


def _gap(before: Step, after: Step) -> timedelta:
    assert before.at is not None
    assert after.at is not None
    return after.at - before.at


def _received(delivery: WebhookDelivery) -> Step:
    if delivery.origin != DeliveryOrigin.WEBHOOK:
        return Step(
            title="Fetched by us and stored",
            at=delivery.received_at,
            details=[f"origin: {delivery.origin}"],
        )
    proof = f"secret {delivery.secret_slot + 1}"
    return Step(
        title="Received, proven and stored before the 2xx",
        at=delivery.received_at,
        details=[f"proven by {proof} of {delivery.vendor}"],
    )


def _later(found: Found) -> list[Step]:
    delivery = found.delivery
    steps = [
        Step(
            title="Document fetched from the vendor",
            at=document.fetched_at,
            details=[f"{document.status} {document.url}"],
        )
        for document in found.documents
    ]
    if delivery.status in _NEVER_READ and not found.messages:
        return steps
    steps.append(_read(found))
    if (again := _read_again(found)) is not None:
        steps.append(again)
    if found.alerts:
        steps.append(
            Step(
                title="Judged: alert",
                at=_judged_at(found),
                details=[link(a, f"{a.severity} {a.night}") for a in found.alerts],
            )
        )
    return [*steps, *_published(found.messages)]


def _read(found: Found) -> Step:
    """Return when it was read first: a replay moves the delivery's own time."""
    delivery = found.delivery
    details = [_event(event, found.readings) for event in found.events]
    if found.messages:
        began = min(message.created_at for message in found.messages)
        return Step(title="Normalised", at=began, details=details)
    if delivery.status == DeliveryStatus.PARKED:
        # Intake parks what it cannot read, and no worker ever sees it.
        at = delivery.processed_at or delivery.received_at
        return Step(title="Parked", at=at, details=details)
    if delivery.status == DeliveryStatus.PROCESSED:
        return Step(title="Normalised", at=delivery.processed_at, details=details)
    return Step(title="Normalise", at=None, details=details)


def _read_again(found: Found) -> Step | None:
    """Return what became of it when it was read another time, None where it was not."""
    delivery, messages = found.delivery, found.messages
    if not messages:
        return None
    if delivery.status in _DUE:
        return Step(title="Normalise again", at=None)
    began = min(message.created_at for message in messages)
    if delivery.processed_at is None or delivery.processed_at <= began:
        return None
    is_parked = delivery.status == DeliveryStatus.PARKED
    title = "Parked when read again" if is_parked else "Read again"
    return Step(title=title, at=delivery.processed_at)


def _event(event: BiometricEvent, readings: Sequence[Reading]) -> SafeString:
    """Link an event and the values that hold because of it; no value is named."""
    mine = [one for one in readings if one.event_id == event.pk]
    links = [link(one, one.metric) for one in mine[:_READINGS]]
    if len(mine) > _READINGS:
        links.append(list_link(Reading, "all of them", q=event.record_id))
    if not links:
        return format_html("{}", link(event))
    return format_html(
        '{}:<div class="console-items">{}</div>',
        link(event),
        format_html_join(" ", "{}", ((one,) for one in links)),
    )


def _judged_at(found: Found) -> datetime | None:
    """Return when it led to an alert; an older alert was only judged again by it."""
    if found.told:
        return min(message.created_at for message in found.told)
    delivery = found.delivery
    raised = found.alerts[0].raised_at
    ends = delivery.processed_at or raised
    is_its_own = delivery.received_at <= raised <= ends
    return raised if is_its_own else delivery.processed_at


def _published(messages: Sequence[OutboxMessage]) -> list[Step]:
    gone = [m for m in messages if m.status == MessageStatus.PUBLISHED]
    left = [m for m in messages if m.status != MessageStatus.PUBLISHED]
    steps = []
    if gone:
        times = [m.published_at for m in gone if m.published_at is not None]
        steps.append(
            Step(
                title="Published",
                at=max(times, default=None),
                details=[link(m, _place(m)) for m in gone],
            )
        )
    if left:
        steps.append(
            Step(
                title="Publish",
                at=None,
                details=[link(m, f"{m.event_type}: {m.status}") for m in left],
            )
        )
    return steps


def _place(message: OutboxMessage) -> str:
    if message.kafka_offset is None:
        return f"{message.event_type} on {message.topic}"
    return (
        f"{message.event_type} on {message.topic}, partition "
        f"{message.kafka_partition} @ {message.kafka_offset}"
    )


def _since(delivery: WebhookDelivery, at: datetime | None) -> str:
    return "ahead" if at is None else f"+{lasted(at - delivery.received_at)}"


def _count(rows: Sequence[object], word: str) -> str:
    """Count what was loaded, and say where there is more."""
    is_cut = len(rows) >= trails.MOST
    return f"{len(rows)} or more {word}s" if is_cut else _plural(len(rows), word)


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

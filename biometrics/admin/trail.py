"""What happened to this webhook: one timeline from its receipt to its Kafka records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.utils.safestring import SafeString

from biometrics import reasons
from biometrics.admin.base import link
from biometrics.models import (
    BiometricEvent,
    DeliveryDocument,
    HrvAlert,
    OutboxMessage,
    ParkedQueue,
    WebhookDelivery,
)
from biometrics.models.intake import DUE_DELIVERY, DeliveryOrigin, DeliveryStatus
from biometrics.models.outbox import MessageStatus

# A page shows this many of each; the counts are of all that were loaded.
_MOST = 200
_AN_HOUR_MS = 3_600_000

_AT_REST = {
    DeliveryStatus.IGNORED: "Kept, and ignored on purpose: {error}",
    DeliveryStatus.ERASED: "Erased with its person: nothing of it is left.",
    DeliveryStatus.UNLINKED: "Waits for its account: connect {account} to a person, "
    "then it goes on by itself.",
    DeliveryStatus.PARKED: "Parked, nothing of it was published. Why: {why} {error} "
    "Next: {next_step}",
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
    """The answer in words, then the steps."""

    sentence: str
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    delivery: WebhookDelivery
    documents: Sequence[DeliveryDocument]
    events: Sequence[BiometricEvent]
    alerts: Sequence[HrvAlert]
    messages: Sequence[OutboxMessage]


def trail_of(delivery: WebhookDelivery) -> Trail:
    """Collect the whole way of one delivery in a fixed number of queries."""
    events = list(delivery.events.order_by("created_at")[:_MOST])
    ids = [event.pk for event in events]
    found = _Found(
        delivery=delivery,
        documents=list(delivery.documents.order_by("id")[:_MOST]),
        events=events,
        alerts=list(
            HrvAlert.objects.filter(hrv_night__event__in=ids)
            .select_related("subject")
            .order_by("raised_at")[:_MOST]
        ),
        messages=list(
            OutboxMessage.objects.filter(event__in=ids).order_by("id")[:_MOST]
        ),
    )
    return Trail(sentence=_sentence(found), steps=_marked(found))


def curl(delivery: WebhookDelivery) -> str:
    """Return the delivery as a command; the signature is the sender's to make."""
    url = f"{settings.PUBLIC_URL}/webhooks/{delivery.vendor}"
    headers = {**delivery.headers, "content-type": "application/json"}
    words = ["curl", "-X", "POST", url]
    for name, value in sorted(headers.items()):
        words += ["-H", f"{name}: {value}"]
    body = bytes(delivery.body or b"").decode("utf-8", errors="replace")
    return shlex.join([*words, "--data-binary", body])


def _sentence(found: _Found) -> str:
    delivery = found.delivery
    if delivery.status in _AT_REST:
        reason = reasons.of_delivery(delivery.error_code)
        return _AT_REST[DeliveryStatus(delivery.status)].format(
            why=reason.why,
            next_step=reason.next_step,
            error=delivery.error or delivery.error_code or "no reason was kept.",
            account=delivery.account_id or "it",
        )
    if delivery.status == DeliveryStatus.RETRYING:
        return (
            f"Tried {delivery.attempts} times, tried again by itself. "
            f"Last problem: {delivery.error}"
        )
    if delivery.status == DeliveryStatus.PENDING:
        before = WebhookDelivery.objects.filter(
            DUE_DELIVERY, shard=delivery.shard, pk__lt=delivery.pk
        ).count()
        return (
            f"Stored, not yet worked on: {before} deliveries of shard "
            f"{delivery.shard} are before it."
        )
    return _of_messages(found)


def _of_messages(found: _Found) -> str:
    told = f"{_count(found.events, 'event')}, {_count(found.alerts, 'alert')}"
    if not found.messages:
        return f"Understood: {told}. It said nothing new, so nothing was published."
    statuses = {message.status for message in found.messages}
    if MessageStatus.PARKED in statuses:
        return f"Understood: {told}. The person's queue is parked: {_parked(found)}"
    if MessageStatus.DEAD in statuses:
        return f"Understood: {told}. Staff skipped a message; the audit says why."
    if statuses != {MessageStatus.PUBLISHED}:
        waiting = sum(m.status != MessageStatus.PUBLISHED for m in found.messages)
        return f"Understood: {told}. {_plural(waiting, 'message')} on the way to Kafka."
    last = max(m.published_at for m in found.messages if m.published_at is not None)
    took = _words(last - found.delivery.received_at)
    return f"Published in {took}: {told}, {_count(found.messages, 'record')}."


def _parked(found: _Found) -> str:
    held = [m for m in found.messages if m.status == MessageStatus.PARKED]
    queue = ParkedQueue.objects.filter(subject=held[0].subject).first()
    if queue is None:
        return held[0].error
    reason = reasons.of_queue(queue.code)
    return f"{reason.why} {queue.reason} Next: {reason.next_step}"


def _marked(found: _Found) -> list[Step]:
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


def _later(found: _Found) -> list[Step]:
    delivery, events = found.delivery, found.events
    steps = [
        Step(
            title="Document fetched from the vendor",
            at=document.fetched_at,
            details=[f"{document.status} {document.url}"],
        )
        for document in found.documents
    ]
    if delivery.status in {DeliveryStatus.IGNORED, DeliveryStatus.ERASED}:
        return steps
    is_parked = delivery.status == DeliveryStatus.PARKED
    is_done = delivery.status == DeliveryStatus.PROCESSED
    steps.append(
        Step(
            title="Parked" if is_parked else "Normalised" if is_done else "Normalise",
            at=delivery.processed_at if is_parked or is_done else None,
            details=[link(event) for event in events],
        )
    )
    if found.alerts:
        steps.append(
            Step(
                title="Judged: alert",
                at=_judged_at(found),
                details=[link(a, f"{a.severity} {a.night}") for a in found.alerts],
            )
        )
    if is_done:
        return [*steps, *_published(found.messages)]
    return steps


def _judged_at(found: _Found) -> datetime | None:
    """Return when it led to an alert; an older alert was only judged again by it."""
    raised = found.alerts[0].raised_at
    is_its_own = raised >= found.delivery.received_at
    return raised if is_its_own else found.delivery.processed_at


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
    return "ahead" if at is None else f"+{_words(at - delivery.received_at)}"


def _words(took: timedelta) -> str:
    ms = round(took.total_seconds() * 1000)
    if ms < 1000:
        return f"{ms} ms"
    if ms < _AN_HOUR_MS:
        return f"{ms / 1000:.1f} s"
    return f"{ms / _AN_HOUR_MS:.1f} h"


def _count(rows: Sequence[object], word: str) -> str:
    return _plural(len(rows), word)


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

"""The steps of a delivery's way, in the order of their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from biometrics import secret_use
from biometrics.admin.shown import link, list_link
from biometrics.admin.words import lasted
from biometrics.models import BiometricEvent, OutboxMessage, Reading, WebhookDelivery
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.trails import Found

# Links beside an event; the list of its record has the others.
_READINGS = 12
_DUE = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)
_NEVER_READ = (DeliveryStatus.IGNORED, DeliveryStatus.ERASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened, or that is still ahead (`at` is None)."""

    title: str
    at: datetime | None
    since: str = ""
    is_slowest: bool = False
    details: Sequence[SafeString | str] = ()


def steps_of(found: Found) -> list[Step]:
    """Return the steps, the one that took longest marked."""
    steps = [_received(found), *_later(found)]
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


def _received(found: Found) -> Step:
    delivery = found.delivery
    if delivery.origin == DeliveryOrigin.ANNOUNCED:
        return Step(
            title="Announced by a webhook; fetched from the address in it, and stored",
            at=delivery.received_at,
            details=[link(found.announcement, "the announcement")],
        )
    if delivery.origin != DeliveryOrigin.WEBHOOK:
        return Step(
            title="Fetched by us and stored",
            at=delivery.received_at,
            details=[f"origin: {delivery.origin}"],
        )
    return Step(
        title="Received, proven and stored before the 2xx",
        at=delivery.received_at,
        details=[f"proven by {secret_use.proof_of(delivery)}"],
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
    if delivery.status == DeliveryStatus.PROCESSED and found.payload is not None:
        title = "Fetched from the address in it"
        payload = link(found.payload, "what lay there")
        return Step(title=title, at=delivery.processed_at, details=[payload])
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

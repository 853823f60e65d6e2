"""A message that cannot be sent is made anew, in its place, from what it tells about.

The event or alert that it tells about is stored, and so is the delivery that said it.
Today's code words the message again; the person's order stays as it was. Where today's
mapping reads something else out of the delivery, the message would contradict its event:
then the delivery is read again instead, and what it says now is published as a revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from biometrics import deliveries, nudges, outbox
from biometrics.errors import UnknownVendorError
from biometrics.items import open_item
from biometrics.messages import NewMessage, Priority
from biometrics.models import BiometricEvent, HrvAlert, OutboxMessage, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.normalise.content import Statement
from biometrics.outbox import OutboxError
from biometrics.publishing import conformity, topics
from biometrics.publishing.envelope import (
    AlertChange,
    AlertKind,
    ConnectionKind,
    alert_message,
    connection_message,
    event_messages,
)
from biometrics.publishing.headers import Severity
from biometrics.vendors.registry import get_adapter

_AT_REST = (DeliveryStatus.PROCESSED, DeliveryStatus.PARKED, DeliveryStatus.IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What a fix did: `due` messages flow; `is_read_again` when the delivery is."""

    due: int
    is_read_again: bool = False


def fix(*, subject: UUID, actor: str, reason: str, now: datetime) -> Fixed:
    """Make the message anew that a person's queue is parked at; let the queue flow.

    Raises OutboxError, changing nothing, when it cannot be made anew or would be refused
    again; the text says what to do instead. Raises ReasonMissingError.
    """
    with transaction.atomic():
        queue = outbox.parked_queue(subject)
        head = OutboxMessage.objects.filter(
            id=queue.from_id, status=MessageStatus.PARKED
        ).first()
        if head is None:
            message = "The message that was refused is gone: retry what waits."
            raise OutboxError(message)
        made = _made_anew(head)
        if made is None:
            _read_again(head, now=now)
        else:
            _check(made)
            _put_in_place(head, made)
        due = outbox.release(queue)
        outbox.note(queue, "outbox.fix", actor=actor, reason=reason, now=now, count=due)
        transaction.on_commit(lambda: nudges.nudge_publishing({queue.shard}))
    return Fixed(due=due, is_read_again=made is None)


def _made_anew(head: OutboxMessage) -> list[NewMessage] | None:
    """Return what takes the message's place, None when its delivery says otherwise."""
    if head.event is not None and head.alert is None:
        return _of_event(head, head.event)
    if head.alert is not None:
        return [_of_alert(head, head.alert)]
    return [_of_connection(head)]


def _of_event(head: OutboxMessage, event: BiometricEvent) -> list[NewMessage] | None:
    statement = _said_today(event)
    if statement is None or statement.digest != event.content_sha256:
        return None
    vendor = event.vendor
    return event_messages(
        event_id=event.id,
        subject=head.subject,
        vendor=vendor,
        topic=get_adapter(vendor).topic,
        record=statement.record,
        max_bytes=settings.KAFKA_MAX_EVENT_BYTES,
        assessment=event.data.get("assessment"),
        priority=_priority(head),
        traceparent=event.delivery.traceparent,
    )


def _said_today(event: BiometricEvent) -> Statement | None:
    """Return what the event's delivery says of its record, read by today's mapping."""
    delivery = event.delivery
    kept = deliveries.documents_of([delivery.id]).get(delivery.id)
    item = open_item(delivery, documents=kept)
    if item.disposition is not None or item.is_to_fetch:
        message = (
            "The bytes from which it could be made anew are not kept any more "
            "(RAW_RETENTION_DAYS): retry it or skip it."
        )
        raise OutboxError(message)
    said = item.read()
    if said.disposition.status == DeliveryStatus.PARKED:
        message = f"Its delivery cannot be read today. {said.disposition.error}"
        raise OutboxError(message)
    same = [
        one
        for one in said.statements
        if one.key == (event.record_type, event.record_id)
    ]
    equal = [one for one in same if one.digest == event.content_sha256]
    return next(iter([*equal, *same]), None)


def _of_alert(head: OutboxMessage, alert: HrvAlert) -> NewMessage:
    """Word one change of an alert again; the row tells only of the newest change."""
    headers = head.headers
    if headers.get("revision") != str(alert.revision):
        message = (
            "The alert has changed since, and a later message tells how it stands now: "
            "skip this one."
        )
        raise OutboxError(message)
    evidence = dict(alert.evidence)
    change = AlertChange(
        kind=cast(AlertKind, head.event_type.rpartition(".")[2]),
        alert_id=alert.id,
        revision=alert.revision,
        subject=head.subject,
        vendor=headers["source"],
        night=alert.night,
        severity=cast(Severity, alert.severity),
        priority=_priority(head),
        reasons=alert.reasons,
        ruleset=alert.ruleset,
        evidence=evidence,
        time=datetime.fromisoformat(headers["ce_time"]),
        traceparent=headers.get("traceparent", ""),
    )
    return alert_message(change, topic=settings.KAFKA_ALERT_TOPIC)


def _of_connection(head: OutboxMessage) -> NewMessage:
    """Word the change of a connection again, from what the message itself holds."""
    try:
        value = orjson.loads(bytes(head.value or b""))
        told = value["connection"]
        former = value.get("former_subject")
        return connection_message(
            change=cast(ConnectionKind, told["change"]),
            change_id=head.ce_id,
            subject=head.subject,
            vendor=told["vendor"],
            topic=get_adapter(told["vendor"]).topic,
            reason=told["reason"],
            time=datetime.fromisoformat(head.headers["ce_time"]),
            former_subject=None if former is None else UUID(former),
            traceparent=head.headers.get("traceparent", ""),
        )
    except (ValueError, KeyError, TypeError, UnknownVendorError):
        message = (
            "Nothing is stored from which it could be made anew: retry it or skip it."
        )
        raise OutboxError(message) from None


def _priority(head: OutboxMessage) -> Priority:
    said = head.headers.get("priority")
    return said if said in {"HIGH", "MEDIUM"} else "NORMAL"


def _check(made: Sequence[NewMessage]) -> None:
    """Refuse what would only be parked again."""
    declared = {spec.name for spec in topics.declared()}
    for message in made:
        problem = conformity.objection(headers=message.headers, value=message.value)
        if problem is not None:
            text = f"Made anew, it would be refused again: {problem.reason}"
            raise OutboxError(text)
        if message.topic not in declared:
            text = (
                f"Made anew, it would go to {message.topic!r}, which is not declared."
            )
            raise OutboxError(text)


def _read_again(head: OutboxMessage, *, now: datetime) -> None:
    """Give the message up for what its delivery says today."""
    assert head.event is not None
    delivery = WebhookDelivery.objects.filter(
        id=head.event.delivery_id, status__in=_AT_REST
    )
    shards = deliveries.make_due(delivery)
    _of_same_event(head).update(
        status=MessageStatus.DEAD,
        error="fixed: its delivery was read again with today's mapping",
    )
    transaction.on_commit(lambda: nudges.nudge_processing(shards))


def _put_in_place(head: OutboxMessage, made: Sequence[NewMessage]) -> None:
    """Let the new messages stand where the old one stood, before all that follow.

    An event's message may have become several: ids rise in a person's order, so what
    waits behind them is then written anew too. Nothing of it has ever been sent.
    """
    old = list(_of_same_event(head))
    wanted = _not_settled_yet(head, made)
    if head.event is not None:
        BiometricEvent.objects.filter(id=head.event.id).update(parts=len(made))
    if len(old) == len(wanted):
        for row, message in zip(old, wanted, strict=True):
            _word(row, message).save()
        return
    behind = OutboxMessage.objects.filter(
        subject=head.subject, status=MessageStatus.PARKED, id__gte=head.id
    )
    gone = {row.id for row in old}
    followers = [row for row in behind.order_by("id") if row.id not in gone]
    fresh = [_word(_copy(head), message) for message in wanted]
    behind.delete()
    OutboxMessage.objects.bulk_create([*fresh, *map(_copy, followers)])


def _of_same_event(head: OutboxMessage) -> QuerySet[OutboxMessage]:
    """Return the parked message and, for an event in several parts, those after it."""
    rows = OutboxMessage.objects.filter(
        subject=head.subject, status=MessageStatus.PARKED, id__gte=head.id
    )
    if head.event_id is None:
        return rows.filter(id=head.id)
    return rows.filter(event_id=head.event_id).order_by("id")


def _not_settled_yet(
    head: OutboxMessage, made: Sequence[NewMessage]
) -> Sequence[NewMessage]:
    """Leave out the parts of an event that consumers have, or that staff gave up.

    These must still fit to the others.
    """
    if head.event_id is None:
        return made
    settled = dict(
        OutboxMessage.objects.filter(
            event_id=head.event_id,
            status__in=[MessageStatus.PUBLISHED, MessageStatus.DEAD],
        ).values_list("ce_id", "value")
    )
    again = {one.ce_id: one.value for one in made if one.ce_id in settled}
    if again != {ce_id: bytes(value or b"") for ce_id, value in settled.items()}:
        message = (
            "Parts of this event were published or given up, cut in another way than "
            "today: skip the rest of it, or set KAFKA_MAX_EVENT_BYTES as it was."
        )
        raise OutboxError(message)
    return [one for one in made if one.ce_id not in settled]


def _word(row: OutboxMessage, message: NewMessage) -> OutboxMessage:
    row.ce_id = message.ce_id
    row.topic = message.topic
    row.event_type = message.event_type
    row.headers = dict(message.headers)
    row.value = message.value
    row.attempts = 0
    row.error = ""
    return row


def _copy(row: OutboxMessage) -> OutboxMessage:
    """Return the same message as a new row, whose id is above all others."""
    return OutboxMessage(
        **{
            field.attname: getattr(row, field.attname)
            for field in OutboxMessage._meta.concrete_fields  # noqa: SLF001
            if not field.primary_key
        }
    )

"""From claimed messages to records on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from biometrics import metrics, tracing
from biometrics.publishing import conformity
from biometrics.publishing.claims import Claim, ClaimedMessage
from biometrics.publishing.parking import Refusal
from biometrics.publishing.producers import (
    Objection,
    OutgoingRecord,
    Receipt,
    RecordProducer,
)


def records_of(*, claim: Claim, now: datetime) -> list[OutgoingRecord]:
    """Return the records of a batch, in its order.

    `ce_sequence` is the message's number: it rises with each record of a person, and
    stays the same when a message has to be sent again.
    """
    timestamp_ms = int(now.timestamp() * 1000)
    return [_record(message, timestamp_ms) for message in claim.messages]


def refusals(
    *,
    claim: Claim,
    records: Sequence[OutgoingRecord],
    producer: RecordProducer,
    topics: frozenset[str],
) -> list[Refusal]:
    """Return what can never be sent, the first message of each person only.

    Nothing has been sent by then. A record that breaks its schema is among it: consumers
    rely on the schema, and taking a record back is not possible.
    """
    found: dict[object, Refusal] = {}
    for message, record in zip(claim.messages, records, strict=True):
        if message.subject in found:
            continue
        objection = (
            _stray(record, topics)
            or producer.refusal(record)
            or conformity.objection(headers=message.headers, value=message.value)
        )
        if objection:
            found[message.subject] = Refusal(
                message_id=message.id,
                subject=message.subject,
                topic=message.topic,
                code=objection.code,
                reason=objection.reason,
                traceparent=str(message.headers.get("traceparent", "")),
            )
    return list(found.values())


def count(*, claim: Claim) -> None:
    """Count the records of a published batch by topic."""
    for topic, number in Counter(item.topic for item in claim.messages).items():
        metrics.PUBLISHED.labels(topic).inc(number)


def trace(*, claim: Claim, receipts: Sequence[Receipt], since: int) -> None:
    """Add the sending of each record of a published batch to its trace."""
    for message, receipt in zip(claim.messages, receipts, strict=True):
        tracing.record(
            "publish",
            since=since,
            traceparent=message.headers.get("traceparent", ""),
            topic=message.topic,
            partition=receipt.partition,
            offset=receipt.offset,
        )


def _record(message: ClaimedMessage, timestamp_ms: int) -> OutgoingRecord:
    # What is no text is refused right after; it must not keep the others waiting.
    headers = [(name, str(text).encode()) for name, text in message.headers.items()]
    headers.append(("ce_sequence", b"%020d" % message.id))
    return OutgoingRecord(
        topic=message.topic,
        key=str(message.subject).encode(),
        value=message.value,
        headers=headers,
        timestamp_ms=timestamp_ms,
    )


def _stray(record: OutgoingRecord, topics: frozenset[str]) -> Objection | None:
    if record.topic in topics:
        return None
    return Objection(
        code="bad_topic",
        reason=f"No vendor adapter declares the topic {record.topic!r}.",
    )

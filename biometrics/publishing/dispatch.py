"""From claimed messages to records on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from biometrics import metrics
from biometrics.publishing.claims import Claim, ClaimedMessage
from biometrics.publishing.parking import Refusal
from biometrics.publishing.producers import OutgoingRecord, RecordProducer


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
    """Return what can never be sent, the first message of each person only."""
    found: dict[object, Refusal] = {}
    for message, record in zip(claim.messages, records, strict=True):
        reason = _stray(record, topics) or producer.refusal(record)
        if reason and message.subject not in found:
            found[message.subject] = Refusal(
                message_id=message.id,
                subject=message.subject,
                topic=message.topic,
                reason=reason,
            )
    return list(found.values())


def count(*, claim: Claim) -> None:
    """Count the records of a published batch by topic."""
    for topic, number in Counter(item.topic for item in claim.messages).items():
        metrics.PUBLISHED.labels(topic).inc(number)


def _record(message: ClaimedMessage, timestamp_ms: int) -> OutgoingRecord:
    headers = [(name, text.encode()) for name, text in message.headers.items()]
    headers.append(("ce_sequence", b"%020d" % message.id))
    return OutgoingRecord(
        topic=message.topic,
        key=str(message.subject).encode(),
        value=message.value,
        headers=headers,
        timestamp_ms=timestamp_ms,
    )


def _stray(record: OutgoingRecord, topics: frozenset[str]) -> str | None:
    if record.topic in topics:
        return None
    return f"No vendor adapter declares the topic {record.topic!r}."

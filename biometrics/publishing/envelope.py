"""What a record looks like on the wire: CloudEvents 1.0 in binary mode, plus our own.

Pure functions from what was understood to messages for the outbox. The relay adds
`ce_sequence` when it sends. Headers never hold a vendor id, an e-mail or a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias
from uuid import UUID, uuid5

import orjson

from biometrics.messages import NewMessage, Priority
from biometrics.publishing.headers import Severity, record_headers
from biometrics.publishing.splitting import split_value
from biometrics.publishing.values import Json, record_value, utc_text
from biometrics.vendors.records import Record

AlertKind: TypeAlias = Literal[
    "raised", "upgraded", "downgraded", "retracted", "resolved"
]
ConnectionKind: TypeAlias = Literal["connected", "revoked", "relinked"]

_PRIORITY: Mapping[Severity, Priority] = {
    "CRITICAL": "HIGH",
    "HIGH": "HIGH",
    "MEDIUM": "MEDIUM",
    "NORMAL": "NORMAL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """One change of an alert, as consumers are told of it.

    They are idempotent on (alert id, revision), from which the message's id is made.
    `evidence` adds the engine's figures to the value as they are.
    """

    kind: AlertKind
    alert_id: UUID
    revision: int
    subject: UUID
    vendor: str
    night: date
    severity: Severity
    priority: Priority
    reasons: Sequence[str]
    ruleset: str
    evidence: Json
    time: datetime
    traceparent: str = ""

    def value(self) -> Json:
        """Return what the record's value says."""
        return {
            "alert": {
                "id": str(self.alert_id),
                "kind": self.kind,
                "revision": self.revision,
                "severity": self.severity,
                "reasons": list(self.reasons),
                "ruleset": self.ruleset,
            },
            "subject": str(self.subject),
            "night": self.night.isoformat(),
            "evidence": dict(self.evidence),
        }


def event_messages(
    *,
    event_id: UUID,
    subject: UUID,
    vendor: str,
    topic: str,
    record: Record,
    max_bytes: int,
    assessment: Json | None = None,
    priority: Priority | None = None,
    traceparent: str = "",
) -> list[NewMessage]:
    """Return the message of an event, several when its series exceed `max_bytes`.

    One message has the event's id. Several have uuid5(event id, part number from 1) and
    a `part` in the value; readings and assessment are in the first. `assessment` holds
    `severity` and `reasons`; `priority` overrides what the severity would give.
    """
    severity = _severity(assessment)
    value = record_value(subject=subject, vendor=vendor, record=record)
    if assessment is not None:
        value["assessment"] = dict(assessment)
    values = split_value(value, record=record, max_bytes=max_bytes)
    ce_type = f"auren.biometric.{record.record_type}.{record.action}.v1"
    event_type = f"{record.record_type}.{record.action}"
    chosen = priority or _PRIORITY[severity]
    headers = record_headers(
        ce_type=ce_type,
        schema="biometric-record",
        event_type=event_type,
        vendor=vendor,
        subject=subject,
        time=record.stamp,
        severity=severity,
        priority=chosen,
        triggers=_reasons(assessment),
        traceparent=traceparent,
    )
    ids = [event_id] if len(values) == 1 else _part_ids(event_id, len(values))
    return [
        NewMessage(
            ce_id=ce_id,
            subject=subject,
            topic=topic,
            event_type=event_type,
            headers={**headers, "ce_id": str(ce_id)},
            value=body,
            priority=chosen,
            event_id=event_id,
        )
        for ce_id, body in zip(ids, values, strict=True)
    ]


def alert_message(change: AlertChange, *, topic: str) -> NewMessage:
    """Return the message of one change of an alert."""
    event_type = f"hrv_alert.{change.kind}"
    ce_id = uuid5(change.alert_id, str(change.revision))
    headers = record_headers(
        ce_type=f"auren.alert.hrv.{change.kind}.v1",
        schema="hrv-alert",
        event_type=event_type,
        vendor=change.vendor,
        subject=change.subject,
        time=change.time,
        severity=change.severity,
        priority=change.priority,
        triggers=change.reasons,
        traceparent=change.traceparent,
    )
    return NewMessage(
        ce_id=ce_id,
        subject=change.subject,
        topic=topic,
        event_type=event_type,
        headers={
            **headers,
            "ce_id": str(ce_id),
            "alert-id": str(change.alert_id),
            "revision": str(change.revision),
            "ruleset": change.ruleset,
        },
        value=orjson.dumps(change.value()),
        priority=change.priority,
        alert_id=change.alert_id,
    )


def change_id(delivery: UUID, number: int) -> UUID:
    """Return the record id of the change of a connection that a delivery told as nth."""
    return uuid5(delivery, f"connection {number}")


def connection_message(
    *,
    change: ConnectionKind,
    change_id: UUID,
    subject: UUID,
    vendor: str,
    topic: str,
    reason: str,
    time: datetime,
    former_subject: UUID | None = None,
    traceparent: str = "",
) -> NewMessage:
    """Return the message of a change of a vendor connection.

    `change_id` must be the same whenever the same change is told again. For `relinked`,
    later events carry `subject`, earlier ones carried `former_subject`.
    """
    value: dict[str, object] = {
        "connection": {"vendor": vendor, "change": change, "reason": reason},
        "subject": str(subject),
    }
    if former_subject is not None:
        value["former_subject"] = str(former_subject)
    return _plain(
        ce_id=change_id,
        ce_type=f"auren.connection.{change}.v1",
        schema="connection",
        event_type=f"connection.{change}",
        vendor=vendor,
        subject=subject,
        topic=topic,
        value=value,
        time=time,
        traceparent=traceparent,
    )


def subject_erased_message(
    *, subject: UUID, topic: str, time: datetime, traceparent: str = ""
) -> NewMessage:
    """Return the message that tells a topic's consumers to forget a person."""
    return _plain(
        ce_id=uuid5(subject, f"erased {topic}"),
        ce_type="auren.subject.erased.v1",
        schema="subject-erased",
        event_type="subject.erased",
        vendor="auren",
        subject=subject,
        topic=topic,
        value={"subject": str(subject), "erased_at": utc_text(time)},
        time=time,
        traceparent=traceparent,
    )


def _plain(
    *,
    ce_id: UUID,
    ce_type: str,
    schema: str,
    event_type: str,
    vendor: str,
    subject: UUID,
    topic: str,
    value: Json,
    time: datetime,
    traceparent: str,
) -> NewMessage:
    headers = record_headers(
        ce_type=ce_type,
        schema=schema,
        event_type=event_type,
        vendor=vendor,
        subject=subject,
        time=time,
        severity="NORMAL",
        priority="NORMAL",
        triggers=(),
        traceparent=traceparent,
    )
    return NewMessage(
        ce_id=ce_id,
        subject=subject,
        topic=topic,
        event_type=event_type,
        headers={**headers, "ce_id": str(ce_id)},
        value=orjson.dumps(value),
    )


def _severity(assessment: Json | None) -> Severity:
    found = (assessment or {}).get("severity", "NORMAL")
    for severity in _PRIORITY:
        if found == severity:
            return severity
    message = f"assessment.severity must be one of {', '.join(_PRIORITY)}: {found!r}."
    raise ValueError(message)


def _reasons(assessment: Json | None) -> list[str]:
    reasons = (assessment or {}).get("reasons", ())
    return (
        [str(reason) for reason in reasons] if isinstance(reasons, list | tuple) else []
    )


def _part_ids(event_id: UUID, count: int) -> list[UUID]:
    return [uuid5(event_id, str(part)) for part in range(1, count + 1)]

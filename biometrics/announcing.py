"""What goes out for what was stored: the messages of a delivery, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import orjson

from biometrics.alerts.evaluate import Evaluation, Told
from biometrics.items import Item
from biometrics.messages import NewMessage
from biometrics.normalise.revisions import Judged, Ruling
from biometrics.publishing.envelope import (
    AlertChange,
    AlertKind,
    alert_message,
    change_id,
    connection_message,
    event_messages,
)
from biometrics.publishing.values import record_value


class Announcer:
    """Words the messages of a batch by this installation's limits and topics.

    `values` holds, by event id, the whole published value of what was announced,
    `parts` how many messages carry it.
    """

    def __init__(
        self,
        *,
        evaluation: Evaluation,
        alert_topic: str,
        max_event_bytes: int,
        now: datetime,
    ) -> None:
        self._evaluation = evaluation
        self._alert_topic = alert_topic
        self._max_event_bytes = max_event_bytes
        self._now = now
        self._caused: dict[UUID, list[Told]] = {}
        for told in evaluation.told:
            self._caused.setdefault(told.cause.event_id, []).append(told)
        self.values: dict[UUID, Mapping[str, object]] = {}
        self.parts: dict[UUID, int] = {}

    def messages(self, items: Iterable[Item], *, judged: Judged) -> list[NewMessage]:
        """Return everything that is to be sent, delivery by delivery."""
        rulings: dict[int, list[Ruling]] = {}
        for ruling in judged.new:
            rulings.setdefault(ruling.claim.delivery.id, []).append(ruling)
        found: list[NewMessage] = []
        for item in items:
            found += self._changes(item)
            for ruling in rulings.get(item.delivery.id, ()):
                found += self._event(ruling)
                found += map(self._alert, self._caused.get(ruling.event_id, ()))
        return found

    def _changes(self, item: Item) -> list[NewMessage]:
        """Return the messages of changes of a connection, numbered in the delivery."""
        delivery = item.delivery
        return [
            connection_message(
                change=applied.change,
                change_id=change_id(delivery.public_id, number),
                subject=applied.subject,
                vendor=item.adapter.slug,
                topic=item.adapter.topic,
                reason=applied.reason,
                time=delivery.received_at,
                former_subject=applied.former_subject,
                traceparent=delivery.traceparent,
            )
            for number, applied in item.applied
        ]

    def _event(self, ruling: Ruling) -> list[NewMessage]:
        claim = ruling.claim
        assessed = self._evaluation.assessed.get(ruling.event_id)
        parts = event_messages(
            event_id=ruling.event_id,
            subject=claim.connection.subject_id,
            vendor=claim.adapter.slug,
            topic=claim.adapter.topic,
            record=claim.statement.record,
            max_bytes=self._max_event_bytes,
            assessment=None if assessed is None else assessed.value,
            priority=None if assessed is None else assessed.priority,
            traceparent=claim.delivery.traceparent,
        )
        self.values[ruling.event_id] = self._value(ruling, parts)
        self.parts[ruling.event_id] = len(parts)
        return parts

    def _alert(self, told: Told) -> NewMessage:
        event = told.event
        change = AlertChange(
            kind=cast(AlertKind, event.kind.lower()),
            alert_id=event.alert_id,
            revision=event.revision,
            subject=told.cause.subject,
            vendor=told.cause.vendor,
            night=event.night,
            severity=event.severity,
            priority=event.priority,
            reasons=event.reasons,
            ruleset=event.verdict.ruleset,
            evidence=told.evidence,
            time=self._now,
            traceparent=told.cause.traceparent,
        )
        return alert_message(change, topic=self._alert_topic)

    def _value(
        self, ruling: Ruling, parts: Sequence[NewMessage]
    ) -> Mapping[str, object]:
        """Return the whole published value, however many messages carry it."""
        if len(parts) == 1:
            value: Mapping[str, object] = orjson.loads(parts[0].value)
            return value
        claim = ruling.claim
        whole = record_value(
            subject=claim.connection.subject_id,
            vendor=claim.adapter.slug,
            record=claim.statement.record,
        )
        assessed = self._evaluation.assessed.get(ruling.event_id)
        if assessed is not None:
            whole["assessment"] = dict(assessed.value)
        return whole

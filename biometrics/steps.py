"""Steps 5 to 7 of a batch: whose it is, what stands, what it means, what is to be told.

All of it in the caller's transaction, in the order of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from biometrics.alerts.configured import configured_ruleset
from biometrics.alerts.evaluate import evaluate
from biometrics.alerts.said import Said
from biometrics.announcing import Announcer
from biometrics.connections import changes, grants, people
from biometrics.gathering import gather, is_piece
from biometrics.items import Item
from biometrics.messages import NewMessage
from biometrics.models.intake import DeliveryOrigin
from biometrics.normalise import revisions, storing
from biometrics.normalise.revisions import Judged
from biometrics.publishing.envelope import change_id


def store(items: Sequence[Item], *, now: datetime) -> list[NewMessage]:
    """Store everything that the deliveries say; return what is to be sent, in order.

    Call it in the transaction that notes the ends of the deliveries.
    """
    speaking = [item for item in items if item.disposition is None]
    directory = people.admit([item.party() for item in speaking])
    for item in speaking:
        item.admit(directory)
        _apply_changes(item, now=now)
    _mark_lost_grants(items)
    judged = revisions.compare([claim for item in speaking for claim in item.claims()])
    evaluation = evaluate(_said(judged), ruleset=configured_ruleset(), now=now)
    announcer = Announcer(
        evaluation=evaluation,
        alert_topic=settings.KAFKA_ALERT_TOPIC,
        max_event_bytes=settings.KAFKA_MAX_EVENT_BYTES,
        now=now,
    )
    messages = announcer.messages(speaking, judged=judged)
    storing.store(judged, values=announcer.values, parts=announcer.parts, now=now)
    evaluation.save(now=now)
    return messages


def _apply_changes(item: Item, *, now: datetime) -> None:
    if item.disposition is None and item.connection is not None:
        item.applied = changes.apply_all(
            item.understood.changes if item.understood is not None else (),
            connection=item.connection,
            received_at=item.delivery.received_at,
            is_new=item.is_new_connection,
        )
    for number, applied in item.applied:
        changes.note(
            applied,
            change_id=change_id(item.delivery.public_id, number),
            vendor=item.adapter.slug,
            now=now,
        )


def _mark_lost_grants(items: Sequence[Item]) -> None:
    lost = {
        item.asked_with: item.needs_reconnect
        for item in items
        if item.needs_reconnect and item.asked_with is not None
    }
    for stored, reason in lost.items():
        grants.mark_needs_reconnect(stored=stored, reason=reason)


def _said(judged: Judged) -> list[Said]:
    replaced, gathered = judged.replaced, gather(judged)
    return [
        Said(
            event_id=ruling.event_id,
            replaces=replaced.get(ruling.claim.key),
            subject=ruling.claim.connection.subject_id,
            vendor=ruling.claim.adapter.slug,
            record=ruling.claim.statement.record,
            received_at=ruling.claim.delivery.received_at,
            is_backfill=ruling.claim.delivery.origin == DeliveryOrigin.BACKFILL,
            traceparent=ruling.claim.delivery.traceparent,
            is_piece=is_piece(ruling),
            gathered=gathered.get(ruling.event_id, ()),
        )
        for ruling in judged.new
        if ruling.stands
    ]

"""Writing what was ruled: events as they were said, readings as they hold now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from biometrics.catalogue import METRICS
from biometrics.models import BiometricEvent, Reading
from biometrics.models.events import EventStatus
from biometrics.normalise.revisions import Judged, Outcome, Ruling

_READING_KEY = ("connection", "record_type", "record_id", "metric", "context")
_READING_FIELDS = (
    "event",
    "subject",
    "value",
    "unit",
    "start",
    "end",
    "zone_offset",
    "local_date",
    "revision_stamp",
)


def store(judged: Judged, *, values: Mapping[UUID, Mapping[str, object]]) -> None:
    """Write new and stale events, and make the readings those of what stands.

    `values` holds the published value of each new event. Call it in the transaction
    that holds the subjects' locks.
    """
    superseded = judged.superseded
    # Before the insert: an index allows one standing revision of a record at a time.
    if superseded:
        BiometricEvent.objects.filter(id__in=superseded).update(
            status=EventStatus.SUPERSEDED
        )
    BiometricEvent.objects.bulk_create(
        [
            _event(ruling, data=values.get(ruling.event_id, {}))
            for ruling in judged.rulings
            if ruling.outcome in {Outcome.NEW, Outcome.STALE}
        ]
    )
    _store_readings([ruling for ruling in judged.new if ruling.stands])
    if superseded:
        # The upsert moved what still holds to its new event; this is the rest.
        Reading.objects.filter(event_id__in=superseded).delete()
    _restamp(judged.restamped)


def _event(ruling: Ruling, *, data: Mapping[str, object]) -> BiometricEvent:
    claim, record = ruling.claim, ruling.claim.statement.record
    return BiometricEvent(
        id=ruling.event_id,
        delivery_id=claim.delivery.id,
        connection_id=claim.connection.id,
        subject_id=claim.connection.subject_id,
        vendor=claim.adapter.slug,
        record_type=record.record_type,
        record_id=record.record_id,
        action=record.action,
        revision_stamp=ruling.stamp,
        content_sha256=claim.statement.digest,
        mapping_version=claim.adapter.mapping_version,
        status=_status(ruling),
        start=record.start,
        end=record.end,
        zone_offset=record.zone_offset or "",
        local_date=record.local_date,
        data=data,
        problems=[
            {"field": problem.field, "reason": problem.reason}
            for problem in record.problems
        ],
    )


def _status(ruling: Ruling) -> EventStatus:
    if ruling.outcome is Outcome.STALE:
        return EventStatus.STALE
    return EventStatus.CURRENT if ruling.stands else EventStatus.SUPERSEDED


def _store_readings(rulings: Sequence[Ruling]) -> None:
    Reading.objects.bulk_create(
        [reading for ruling in rulings for reading in _readings(ruling)],
        update_conflicts=True,
        unique_fields=_READING_KEY,
        update_fields=_READING_FIELDS,
    )


def _readings(ruling: Ruling) -> Iterable[Reading]:
    claim, record = ruling.claim, ruling.claim.statement.record
    for reading in record.readings:
        yield Reading(
            event_id=ruling.event_id,
            connection_id=claim.connection.id,
            subject_id=claim.connection.subject_id,
            record_type=record.record_type,
            record_id=record.record_id,
            metric=reading.metric.value,
            context=reading.context or "",
            value=reading.value,
            unit=METRICS[reading.metric].unit,
            start=record.start,
            end=record.end,
            zone_offset=record.zone_offset or "",
            local_date=record.local_date,
            revision_stamp=ruling.stamp,
        )


def _restamp(stamps: Mapping[UUID, datetime]) -> None:
    BiometricEvent.objects.bulk_update(
        [
            BiometricEvent(id=event_id, revision_stamp=stamp)
            for event_id, stamp in stamps.items()
        ],
        ["revision_stamp"],
        batch_size=200,
    )

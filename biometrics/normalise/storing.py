"""Writing what was ruled: events as they were said, readings as they hold now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from biometrics import metrics
from biometrics.catalogue import METRICS
from biometrics.models import BiometricEvent, Reading, bulk
from biometrics.models.events import EventStatus
from biometrics.normalise.revisions import Judged, Outcome, Ruling

_EVENT_COLUMNS = (
    "id",
    "delivery_id",
    "connection_id",
    "subject_id",
    "vendor",
    "record_type",
    "record_id",
    "action",
    "revision_stamp",
    "content_sha256",
    "mapping_version",
    "status",
    "start",
    "end",
    "zone_offset",
    "local_date",
    "data",
    "problems",
    "parts",
    "created_at",
)
_READING_KEY = ("connection_id", "record_type", "record_id", "metric", "context")
_READING_COLUMNS = (
    *_READING_KEY,
    "event_id",
    "subject_id",
    "value",
    "unit",
    "start",
    "end",
    "zone_offset",
    "local_date",
    "revision_stamp",
)


def store(
    judged: Judged,
    *,
    values: Mapping[UUID, Mapping[str, object]],
    parts: Mapping[UUID, int],
    now: datetime,
) -> None:
    """Write new and stale events, and make the readings those of what stands.

    `values` holds the published value of each new event, `parts` of how many messages
    it consists. Call it in the transaction that holds the subjects' locks.
    """
    superseded = judged.superseded
    # Before the insert: an index allows one standing revision of a record at a time.
    if superseded:
        BiometricEvent.objects.filter(id__in=superseded).update(
            status=EventStatus.SUPERSEDED
        )
    bulk.insert(
        BiometricEvent,
        columns=_EVENT_COLUMNS,
        rows=[
            _event(
                ruling,
                data=values.get(ruling.event_id, {}),
                parts=parts.get(ruling.event_id, 1),
                now=now,
            )
            for ruling in judged.rulings
            if ruling.outcome in {Outcome.NEW, Outcome.STALE}
        ],
    )
    standing = [ruling for ruling in judged.new if ruling.stands]
    bulk.insert(
        Reading,
        columns=_READING_COLUMNS,
        rows=[reading for ruling in standing for reading in _readings(ruling)],
        replace_on=_READING_KEY,
    )
    if superseded:
        # The upsert moved what still holds to its new event; this is the rest.
        Reading.objects.filter(event_id__in=superseded).delete()
    _restamp(judged.restamped)
    for ruling in judged.rulings:
        claim = ruling.claim
        record_type = claim.statement.record.record_type
        metrics.EVENTS.labels(claim.adapter.slug, record_type, ruling.outcome).inc()


def _event(
    ruling: Ruling, *, data: Mapping[str, object], parts: int, now: datetime
) -> tuple[object, ...]:
    """Return the values of _EVENT_COLUMNS."""
    claim, record = ruling.claim, ruling.claim.statement.record
    return (
        ruling.event_id,
        claim.delivery.id,
        claim.connection.id,
        claim.connection.subject_id,
        claim.adapter.slug,
        record.record_type,
        record.record_id,
        record.action,
        ruling.stamp,
        claim.statement.digest,
        claim.adapter.mapping_version,
        _status(ruling).value,
        record.start,
        record.end,
        record.zone_offset or "",
        record.local_date,
        data,
        [
            {"field": problem.field, "reason": problem.reason}
            for problem in record.problems
        ],
        parts,
        now,
    )


def _status(ruling: Ruling) -> EventStatus:
    if ruling.outcome is Outcome.STALE:
        return EventStatus.STALE
    return EventStatus.CURRENT if ruling.stands else EventStatus.SUPERSEDED


def _readings(ruling: Ruling) -> Iterator[tuple[object, ...]]:
    """Return the values of _READING_COLUMNS, reading by reading."""
    claim, record = ruling.claim, ruling.claim.statement.record
    connection, before = claim.connection, (record.record_type, record.record_id)
    after = (
        record.start,
        record.end,
        record.zone_offset or "",
        record.local_date,
        ruling.stamp,
    )
    for reading in record.readings:
        yield (
            connection.id,
            *before,
            reading.metric.value,
            reading.context or "",
            ruling.event_id,
            connection.subject_id,
            reading.value,
            METRICS[reading.metric].unit,
            *after,
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

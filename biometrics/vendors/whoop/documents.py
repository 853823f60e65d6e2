"""One WHOOP document as a record: the same for webhooks, backfill and reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from biometrics.catalogue import Metric, plausible
from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import Extracted, collect_facts, dig, extract, text
from biometrics.vendors.records import (
    Action,
    NightSignals,
    Problem,
    ReadingValue,
    Record,
)
from biometrics.vendors.whoop.kinds import Kind
from biometrics.vendors.whoop.mapping import ASLEEP_STAGES, KINDS
from biometrics.vendors.whoop.nights import night_signals
from biometrics.vendors.whoop.times import Span, read_span, read_stamp

_SCORED = "SCORED"
_PENDING = "PENDING_SCORE"
# What is UNSCORABLE stays so, and is kept as such.
_SCORE_STATES = frozenset({_SCORED, _PENDING, "UNSCORABLE"})


def build_record(
    *,
    data_type: str,
    document: object,
    fetched_at: datetime,
    action: Action,
    related: Sequence[object] = (),
    where: str = "document",
) -> Record:
    """Return what a document of the API says.

    `related` holds sleeps: a recovery has no times of its own, those of its sleep are
    taken. Raises UnreadableDeliveryError, naming the place below `where`, when there is
    no object, no id, or no such data type.
    """
    kind = KINDS.get(data_type)
    if kind is None:
        raise UnreadableDeliveryError("no such data type", field="data_type")
    if not isinstance(document, dict):
        raise UnreadableDeliveryError("not a JSON object", field=where)
    record_id = kind.only_id or text(document, kind.id_field, limit=100)
    if record_id is None:
        raise UnreadableDeliveryError("no usable id", field=f"{where}.{kind.id_field}")
    stamp, stamp_problems = fetched_at, tuple[Problem, ...]()
    if kind.scored:
        stamp, stamp_problems = read_stamp(document, fetched_at=fetched_at)
    extracted = read_numbers(document, kind=kind)
    facts = collect_facts(document, kind.facts)
    sleep = _sleep_of(record_id, related) if data_type == "recovery" else None
    span = _span(document, kind=kind, sleep=sleep, now=fetched_at)
    return Record(
        record_type=kind.record_type,
        record_id=record_id,
        action=action,
        stamp=stamp,
        start=span.start,
        end=span.end,
        zone_offset=span.zone_offset,
        local_date=span.local_date,
        readings=extracted.readings,
        attributes=facts.attributes,
        night=_night(document, extracted, sleep=sleep, span=span),
        problems=(
            *stamp_problems,
            *span.problems,
            *facts.problems,
            *extracted.problems,
        ),
    )


def is_pending(record: Record) -> bool:
    """Say whether WHOOP will score this record later."""
    return record.attributes.get("score_state") == _PENDING


def deleted_record(*, data_type: str, record_id: str, stamp: datetime) -> Record:
    """Return the end of a record."""
    return Record(
        record_type=KINDS[data_type].record_type,
        record_id=record_id,
        action="deleted",
        stamp=stamp,
    )


def read_numbers(document: object, *, kind: Kind) -> Extracted:
    """Return the readings; none while a scored document is not SCORED."""
    if not kind.scored:
        return extract(document, kind.fields)
    state = text(document, "score_state")
    if state not in _SCORE_STATES:
        unknown = Problem(
            field="score_state", reason="unknown, so not taken for scored"
        )
        return Extracted(readings=(), problems=(unknown,))
    if state != _SCORED:
        return Extracted(readings=(), problems=())
    if not isinstance(dig(document, "score"), dict):
        missing = Problem(field="score", reason="missing from a scored document")
        return Extracted(readings=(), problems=(missing,))
    extracted = extract(document, kind.fields)
    if kind.record_type != "sleep":
        return extracted
    readings = (*extracted.readings, *_asleep(extracted.readings))
    if dig(document, "nap") is not False:
        readings = tuple(_of_a_nap(reading) for reading in readings)
    return Extracted(readings=readings, problems=extracted.problems)


def _asleep(readings: Sequence[ReadingValue]) -> tuple[ReadingValue, ...]:
    stages = [r.value for r in readings if r.metric in ASLEEP_STAGES]
    if len(stages) != len(ASLEEP_STAGES):
        return ()
    total = plausible(Metric.SLEEP_DURATION, round(sum(stages), 9))
    if total is None:
        return ()
    return (ReadingValue(metric=Metric.SLEEP_DURATION, value=total),)


def _of_a_nap(reading: ReadingValue) -> ReadingValue:
    """Mark a number, so that nobody takes it for one of the night."""
    plain = reading.context in (None, "sleep")
    return replace(reading, context="nap" if plain else f"nap_{reading.context}")


def _sleep_of(sleep_id: str, related: Sequence[object]) -> dict[str, Any] | None:
    for document in related:
        if isinstance(document, dict) and text(document, "id") == sleep_id:
            return document
    return None


def _span(
    document: object, *, kind: Kind, sleep: dict[str, Any] | None, now: datetime
) -> Span:
    if kind.dated_by is not None:
        return read_span(document, dated_by=kind.dated_by, now=now)
    if kind.record_type != "recovery":
        return Span()
    if sleep is None:
        unknown = Problem(field="sleep_id", reason="its sleep is not at hand: no times")
        return Span(problems=(unknown,))
    return read_span(sleep, dated_by="end", now=now, prefix="sleep.")


def _night(
    document: object,
    extracted: Extracted,
    *,
    sleep: dict[str, Any] | None,
    span: Span,
) -> NightSignals | None:
    if sleep is None or dig(sleep, "nap") is not False:
        return None
    # Of a person whom WHOOP still gets to know the numbers are not comparable yet.
    is_settled = dig(document, "score.user_calibrating") is False
    return night_signals(
        extracted.readings if is_settled else (),
        sleep=read_numbers(sleep, kind=KINDS["sleep"]).readings,
        span=span,
    )

"""One Oura document as a record: the same for webhooks, backfill and reconciliation."""

from __future__ import annotations

from datetime import datetime

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import collect_facts, dig, extract, text
from biometrics.vendors.oura.kinds import Kind
from biometrics.vendors.oura.mapping import KINDS, MAIN_SLEEP
from biometrics.vendors.oura.nights import night_signals
from biometrics.vendors.oura.series import read_series
from biometrics.vendors.oura.times import read_span
from biometrics.vendors.records import Action, Problem, Record

ID_LIMIT = 100


def build_record(
    *,
    data_type: str,
    document: object,
    stamp: datetime,
    action: Action,
    where: str = "document",
) -> Record:
    """Return what a document of a collection says.

    `stamp` is the start of the fetch: it orders revisions and bounds credible times.
    Raises UnreadableDeliveryError, naming the place below `where`, when there is no
    object, no id, or no such data type.
    """
    kind = KINDS.get(data_type)
    if kind is None:
        raise UnreadableDeliveryError("no such collection", field="data_type")
    if not isinstance(document, dict):
        raise UnreadableDeliveryError("not a JSON object", field=where)
    record_id = kind.only_id or text(document, "id", limit=ID_LIMIT)
    if record_id is None:
        raise UnreadableDeliveryError("no usable id", field=f"{where}.id")
    if kind.record_type == "sleep" and document.get("type") == "deleted":
        action = "deleted"
    if action == "deleted":
        return deleted_record(data_type=data_type, record_id=record_id, stamp=stamp)
    return _read(document, kind=kind, record_id=record_id, stamp=stamp, action=action)


def deleted_record(*, data_type: str, record_id: str, stamp: datetime) -> Record:
    """Return the end of a record."""
    return Record(
        record_type=KINDS[data_type].record_type,
        record_id=record_id,
        action="deleted",
        stamp=stamp,
    )


def _read(
    document: object, *, kind: Kind, record_id: str, stamp: datetime, action: Action
) -> Record:
    span = read_span(document, kind=kind, now=stamp)
    facts = collect_facts(document, kind.facts)
    is_main = kind.record_type == "sleep" and dig(document, "type") == "long_sleep"
    # A `rest` is a time that Oura first took for sleep: its record stays, to replace
    # what an earlier revision said, its numbers are not those of a sleep.
    is_rest = kind.record_type == "sleep" and dig(document, "type") == "rest"
    fields = kind.fields + MAIN_SLEEP if is_main else kind.fields
    extracted = extract(document, () if is_rest else fields)
    sampled = read_series(document, () if is_rest else kind.series, now=stamp)
    problems = (
        *span.problems,
        *facts.problems,
        *extracted.problems,
        *sampled.problems,
    )
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
        series=sampled.series,
        attributes=facts.attributes,
        night=night_signals(extracted.readings, span) if is_main else None,
        problems=_each_once(problems),
    )


def _each_once(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """One field may fill two readings; it is reported once."""
    return tuple(dict.fromkeys(problems))

"""What a record says, and when two records say the same. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from biometrics.catalogue import Metric
from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.records import JsonScalar, Problem, ReadingValue, Record

_EVENTS = uuid5(NAMESPACE_URL, "urn:auren:event")
_OFFSET = re.compile(r"^[+-]\d{2}:\d{2}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A stamp from the future would make every later version of the record look old.
_STAMP_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A record that fits our tables, with the digest of everything that it says.

    Equal digests mean that nothing changed, whatever the stamps and actions are.
    """

    record: Record
    digest: str

    @property
    def key(self) -> tuple[str, str]:
        """What names the vendor's record within its account."""
        return (self.record.record_type, self.record.record_id)

    @property
    def is_deletion(self) -> bool:
        return self.record.action == "deleted"


def state(record: Record, *, known_at: datetime) -> Statement:
    """Return the statement of a record as its adapter understood it.

    `known_at` is when the bridge came to know it: of the fetch where there was one.
    Raises UnreadableDeliveryError naming the field when the record cannot be kept at
    all; a lesser fault becomes a problem of the record.
    """
    _check(record)
    problems: list[Problem] = []
    stamp = record.stamp
    if stamp > known_at + _STAMP_AHEAD:
        stamp = known_at
        problems.append(Problem(field="stamp", reason="lies in the future"))
    tidy = replace(
        record,
        stamp=stamp,
        readings=_once(record),
        attributes=_printable(record.attributes, problems),
        problems=(*record.problems, *problems),
    )
    if tidy.action == "deleted":
        tidy = replace(tidy, readings=(), series=(), night=None)
    return Statement(record=tidy, digest=_digest(tidy))


def event_id(*, vendor: str, account_id: str, statement: Statement) -> UUID:
    """Return the id of the event: the same revision has the same id, always."""
    record = statement.record
    parts = (
        vendor,
        account_id,
        record.record_type,
        record.record_id,
        record.action,
        record.stamp.astimezone(UTC).isoformat(),
        statement.digest,
    )
    return uuid5(_EVENTS, "\n".join(parts))


def _check(record: Record) -> None:
    _check_name("record_type", record.record_type, longest=40)
    _check_name("record_id", record.record_id, longest=200)
    if record.zone_offset is not None and not _OFFSET.match(record.zone_offset):
        raise UnreadableDeliveryError("is not like +01:00", field="zone_offset")
    for name in ("stamp", "start", "end"):
        moment = getattr(record, name)
        if moment is not None and moment.tzinfo is None:
            raise UnreadableDeliveryError("has no zone", field=name)
    for reading in record.readings:
        if reading.context and len(reading.context) > 40:
            raise UnreadableDeliveryError(
                "is longer than 40 characters", field=f"{reading.metric}.context"
            )


def _check_name(field: str, value: str, *, longest: int) -> None:
    if not 0 < len(value) <= longest:
        message = f"must have 1 to {longest} characters, has {len(value)}"
        raise UnreadableDeliveryError(message, field=field)
    if _CONTROL.search(value):
        raise UnreadableDeliveryError("holds control characters", field=field)


def _once(record: Record) -> tuple[ReadingValue, ...]:
    """Return one reading for each metric and context: the first that was given."""
    found: dict[tuple[Metric, str | None], ReadingValue] = {}
    for reading in record.readings:
        found.setdefault((reading.metric, reading.context), reading)
    return tuple(found.values())


def _printable(
    attributes: Mapping[str, JsonScalar], problems: list[Problem]
) -> Mapping[str, JsonScalar]:
    bad = [k for k, v in attributes.items() if isinstance(v, str) and "\0" in v]
    if not bad:
        return attributes
    problems.extend(
        Problem(field=f"attributes.{name}", reason="holds a NUL character")
        for name in bad
    )
    return {name: value for name, value in attributes.items() if name not in bad}


def _digest(record: Record) -> str:
    """Return the sha256 of what the record says.

    The fields are listed one by one: a field that a later release adds to the types
    must not make everything that was ever stored look changed.
    """
    if record.action == "deleted":
        return _sha256([record.record_type, record.record_id, "deleted"])
    night = record.night
    said = [
        record.record_type,
        record.record_id,
        record.start,
        record.end,
        record.zone_offset,
        record.local_date,
        sorted([r.metric, r.context or "", r.value] for r in record.readings),
        [
            [s.metric, s.start, s.values, s.interval_s, s.offsets_s, s.context]
            for s in record.series
        ],
        dict(record.attributes),
        None
        if night is None
        else [
            night.series_id,
            night.night,
            night.value_ms,
            night.rhr_bpm,
            night.rr_brpm,
            night.temp_c,
        ],
    ]
    return _sha256(said)


def _sha256(said: Sequence[object]) -> str:
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

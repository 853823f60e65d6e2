"""One item of a Terra delivery's `data` as one record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from biometrics.vendors.fields import dig, extract, text
from biometrics.vendors.records import Action, Problem, ReadingValue, Record
from biometrics.vendors.terra.facts import facts_of
from biometrics.vendors.terra.frame import Frame, read_frame
from biometrics.vendors.terra.mapping import READINGS
from biometrics.vendors.terra.night import night_of
from biometrics.vendors.terra.samples import Timed, read_samples
from biometrics.vendors.terra.series import SERIES
from biometrics.vendors.times import credible_day, parse_day, parse_moment

# Every model but sleep has 4 for "deleted at the source"; in sleep it says how sure the
# provider is (https://github.com/tryterra/openapi).
_DELETED = 4

_MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a Terra data type becomes; `longest` bounds the interval of one record."""

    record_type: str
    is_day: bool
    longest: timedelta


KINDS = {
    "sleep": Kind(record_type="sleep", is_day=False, longest=timedelta(days=2)),
    "activity": Kind(record_type="workout", is_day=False, longest=_MONTH),
    "daily": Kind(record_type="daily_activity", is_day=True, longest=_MONTH),
    "body": Kind(record_type="body", is_day=True, longest=_MONTH),
    "nutrition": Kind(record_type="nutrition", is_day=True, longest=_MONTH),
    "menstruation": Kind(record_type="menstruation", is_day=True, longest=_MONTH),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every record of a delivery shares."""

    provider: str
    stamp: datetime
    now: datetime


def record_of(
    item: object, *, kind: Kind, where: str, context: Context
) -> Record | Problem:
    """Return the record that an item describes, or why it describes none.

    Terra's times are never converted: the date of a day is cut out of its text, the
    night of a sleep is the date on which it ended as written.
    """
    if not isinstance(item, dict):
        return Problem(field=where, reason="not an object")
    identify = _day_id if kind.is_day else _session_id
    record_id = identify(item)
    if record_id is None:
        missing = "start_time" if kind.is_day else "summary_id"
        return Problem(field=f"{where}.metadata.{missing}", reason="no identity")
    frame = read_frame(item, where=where, now=context.now, longest=kind.longest)
    facts = facts_of(item, record_type=kind.record_type, where=where)
    record = Record(
        record_type=kind.record_type,
        record_id=record_id,
        action=_action(item, kind=kind),
        stamp=context.stamp,
        start=frame.start.at if frame.start else None,
        end=frame.end.at if frame.end else None,
        zone_offset=frame.zone_offset,
        local_date=_local_date(item, kind=kind, frame=frame),
        attributes={"provider": context.provider, **facts.attributes},
        problems=(*frame.problems, *facts.problems),
    )
    if record.action == "deleted":
        return record
    return _with_content(record, item, frame=frame, where=where)


def _with_content(
    record: Record, item: dict[str, object], *, frame: Frame, where: str
) -> Record:
    found = extract(item, READINGS[record.record_type], prefix=f"{where}.")
    timed = [
        read_samples(item, row, frame=frame, where=where)
        for row in SERIES[record.record_type]
    ]
    series = tuple(t.series for t in timed if t.series is not None)
    readings = (*found.readings, *_latest(timed))
    problems = (
        *record.problems,
        *found.problems,
        *(t.problem for t in timed if t.problem is not None),
    )
    full = replace(record, readings=readings, series=series, problems=problems)
    if record.record_type != "sleep":
        return full
    provider = str(record.attributes["provider"])
    return replace(full, night=night_of(full, frame=frame, provider=provider))


def _latest(timed: list[Timed]) -> list[ReadingValue]:
    """Return the last measurement of each metric that is taken now and then."""
    found: list[ReadingValue] = []
    for one in timed:
        if one.latest_is_reading and one.series is not None:
            value = one.series.values[-1]
            assert value is not None  # read_samples keeps numbers only
            found.append(ReadingValue(metric=one.series.metric, value=value))
    return found


def _session_id(item: object) -> str | None:
    """Return the vendor's id, without one the times: older payloads have no id."""
    summary_id = text(item, "metadata.summary_id")
    if summary_id:
        return summary_id
    times = [dig(item, f"metadata.{key}") for key in ("start_time", "end_time")]
    known = [moment.at.isoformat() for raw in times if (moment := parse_moment(raw))]
    return "/".join(known) or None


def _day_id(item: object) -> str | None:
    day = parse_day(dig(item, "metadata.start_time"))
    return day.isoformat() if day else None


def _action(item: object, *, kind: Kind) -> Action:
    """Say what happened; Terra tells no creation from a later, fuller version."""
    if kind.record_type == "sleep":
        return "updated"
    return "deleted" if dig(item, "metadata.upload_type") == _DELETED else "updated"


def _local_date(item: object, *, kind: Kind, frame: Frame) -> date | None:
    if kind.is_day:
        day = parse_day(dig(item, "metadata.start_time"))
        return day if day and credible_day(day, now=frame.now) else None
    anchor = frame.end if kind.record_type == "sleep" else frame.start
    return anchor.local_date if anchor else None

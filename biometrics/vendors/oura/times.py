"""When an Oura document happened, as the vendor wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from biometrics.vendors.fields import dig
from biometrics.vendors.oura.kinds import Kind
from biometrics.vendors.records import Problem
from biometrics.vendors.times import (
    Moment,
    credible,
    credible_day,
    parse_day,
    parse_moment,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Start, end and local date of a document; None is missing."""

    start: datetime | None = None
    end: datetime | None = None
    zone_offset: str | None = None
    local_date: date | None = None
    problems: tuple[Problem, ...] = ()


def read_span(document: object, *, kind: Kind, now: datetime) -> Span:
    """Return the times of a document, a Problem for each that cannot be.

    When the end lies before the start, neither is believed.
    """
    problems: list[Problem] = []
    start = read_moment(document, path=kind.start, now=now, problems=problems)
    end = read_moment(document, path=kind.end, now=now, problems=problems)
    if start and end and end.at < start.at:
        problems.append(Problem(field=str(kind.end), reason="lies before the start"))
        start = end = None
    if start and kind.length is not None:
        end = Moment(at=start.at + kind.length, zone_offset=start.zone_offset)
    dated = (end or start) if kind.dated_by == "end" else (start or end)
    day = _read_day(document, path=kind.day, now=now, problems=problems)
    if dated is not None and not _agree(day, dated):
        if day is not None:
            problems.append(Problem(field=str(kind.day), reason="far from the time"))
        day = dated.local_date
    return Span(
        start=start.at if start else None,
        end=end.at if end else None,
        zone_offset=dated.zone_offset if dated else None,
        local_date=day,
        problems=tuple(problems),
    )


def _agree(day: date | None, dated: Moment) -> bool:
    """Say whether a day and a time can be of one record, in whatever zone it is told."""
    return day is not None and abs(day - dated.local_date) <= timedelta(days=1)


def read_moment(
    document: object, *, path: str | None, now: datetime, problems: list[Problem]
) -> Moment | None:
    """Return the credible time at the path; reports any other value."""
    raw = dig(document, path) if path else None
    if raw is None:
        return None
    moment = parse_moment(raw)
    if moment is None or not credible(moment, now=now):
        problems.append(Problem(field=str(path), reason="no credible time"))
        return None
    return moment


def _read_day(
    document: object, *, path: str | None, now: datetime, problems: list[Problem]
) -> date | None:
    raw = dig(document, path) if path else None
    if raw is None:
        return None
    day = parse_day(raw)
    if day is None or not credible_day(day, now=now):
        problems.append(Problem(field=str(path), reason="no credible date"))
        return None
    return day

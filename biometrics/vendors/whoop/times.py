"""When a WHOOP document happened: UTC times, shown in the zone that stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from biometrics.vendors.fields import dig, text
from biometrics.vendors.records import Problem
from biometrics.vendors.times import Moment, credible, in_offset, parse_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Start, end and local date of a document; None is missing."""

    start: datetime | None = None
    end: datetime | None = None
    zone_offset: str | None = None
    local_date: date | None = None
    problems: tuple[Problem, ...] = ()


def read_span(
    document: object,
    *,
    dated_by: Literal["start", "end"],
    now: datetime,
    prefix: str = "",
) -> Span:
    """Return the times of a document, a Problem for each that cannot be.

    Without a usable zone offset the times stay in UTC and there is no local date: what
    day it was for the person cannot be known. When the end lies before the start,
    neither is believed.
    """
    problems: list[Problem] = []
    start = _read_instant(document, "start", now=now, problems=problems, prefix=prefix)
    end = _read_instant(document, "end", now=now, problems=problems, prefix=prefix)
    if start and end and end < start:
        problems.append(Problem(field=f"{prefix}end", reason="lies before the start"))
        start = end = None
    offset = text(document, "timezone_offset", limit=10)
    dated = _shown(end if dated_by == "end" else start, offset)
    if (start or end) and _shown(start or end, offset) is None:
        field = f"{prefix}timezone_offset"
        problems.append(Problem(field=field, reason="no offset, so no local date"))
    shown_start, shown_end = _shown(start, offset), _shown(end, offset)
    anchor = shown_start or shown_end
    return Span(
        start=shown_start.at if shown_start else start,
        end=shown_end.at if shown_end else end,
        zone_offset=anchor.zone_offset if anchor else None,
        local_date=dated.local_date if dated else None,
        problems=tuple(problems),
    )


def read_stamp(
    document: object, *, fetched_at: datetime
) -> tuple[datetime, tuple[Problem, ...]]:
    """Return `updated_at`, or the time of the fetch where that is no credible time.

    The fetch saw the document after its last change, so its time orders revisions too.
    """
    moment = parse_moment(dig(document, "updated_at"))
    if moment is not None and credible(moment, now=fetched_at):
        return moment.at, ()
    return fetched_at, (Problem(field="updated_at", reason="no credible time"),)


def _read_instant(
    document: object, key: str, *, now: datetime, problems: list[Problem], prefix: str
) -> datetime | None:
    raw = dig(document, key)
    if raw is None:
        return None
    moment = parse_moment(raw)
    if moment is None or not credible(moment, now=now):
        problems.append(Problem(field=f"{prefix}{key}", reason="no credible time"))
        return None
    return moment.at


def _shown(instant: datetime | None, offset: str | None) -> Moment | None:
    return in_offset(instant, offset) if instant is not None else None

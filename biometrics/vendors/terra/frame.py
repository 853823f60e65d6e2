"""When a Terra record was: its times as written, and its samples on the same wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from biometrics.vendors.fields import dig
from biometrics.vendors.records import Problem
from biometrics.vendors.times import Moment, credible, parse_moment

# `timestamp_localization` of a time without an offset: 0 says that it is UTC, 1 (and
# nothing) that it is the person's wall.
_IS_UTC = 0
# A provider's samples may start shortly before and end shortly after their record.
_MARGIN = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The interval of a record; what is missing or cannot be is None, with a problem."""

    now: datetime
    longest: timedelta
    is_utc: bool
    start: Moment | None
    end: Moment | None
    problems: tuple[Problem, ...]

    @property
    def zone_offset(self) -> str | None:
        anchor = self.start or self.end
        return anchor.zone_offset if anchor else None

    @property
    def duration_s(self) -> float | None:
        if self.start is None or self.end is None:
            return None
        return (self.end.at - self.start.at).total_seconds()

    def place(self, text: object) -> datetime | None:
        """Return a sample's time as the record's own times are kept, None if absurd.

        A record and its samples may be written with and without offset in any mixture;
        the missing offset is the other's.
        """
        moment = _read(text, is_utc=self.is_utc)
        if moment is None or not credible(moment, now=self.now):
            return None
        at = _on_the_same_wall(moment, anchor=self.start or self.end)
        return at if self._is_near(at) else None

    def contains(self, at: datetime) -> bool:
        """Say whether a placed time lies within the record's interval, ends included."""
        if self.start is None or self.end is None:
            return False
        return self.start.at <= at <= self.end.at

    def _is_near(self, at: datetime) -> bool:
        # Without a start there is no interval that a sample could be measured against.
        if self.start is None:
            return True
        until = self.end.at if self.end else self.start.at + self.longest
        return self.start.at - _MARGIN <= at <= until + _MARGIN


def read_frame(item: object, *, where: str, now: datetime, longest: timedelta) -> Frame:
    """Read `metadata.start_time` and `end_time` of a data item.

    An end before the start, or further from it than `longest`, is missing.
    """
    is_utc = dig(item, "metadata.timestamp_localization") == _IS_UTC
    problems: list[Problem] = []
    moments: dict[str, Moment | None] = {}
    for key in ("start_time", "end_time"):
        raw = dig(item, f"metadata.{key}")
        moment = _read(raw, is_utc=is_utc)
        reason = _objection(raw, moment, now=now)
        if reason:
            problems.append(Problem(field=f"{where}.metadata.{key}", reason=reason))
            moment = None
        moments[key] = moment
    start, end = moments["start_time"], moments["end_time"]
    if start and end and not timedelta() <= end.at - start.at <= longest:
        reason = "before the start or too long after it"
        problems.append(Problem(field=f"{where}.metadata.end_time", reason=reason))
        end = None
    return Frame(
        now=now,
        longest=longest,
        is_utc=is_utc,
        start=start,
        end=end,
        problems=tuple(problems),
    )


def _objection(raw: object, moment: Moment | None, *, now: datetime) -> str | None:
    if raw is None:
        return None
    if moment is None:
        return "not a time"
    return None if credible(moment, now=now) else "not a credible time"


def _read(text: object, *, is_utc: bool) -> Moment | None:
    moment = parse_moment(text)
    if moment is not None and moment.zone_offset is None and is_utc:
        return Moment(at=moment.at, zone_offset="+00:00")
    return moment


def _on_the_same_wall(moment: Moment, *, anchor: Moment | None) -> datetime:
    if anchor is None or (moment.zone_offset is None) == (anchor.zone_offset is None):
        return moment.at
    if anchor.zone_offset is None:
        return moment.at.replace(tzinfo=UTC)
    return moment.at.replace(tzinfo=anchor.at.tzinfo)

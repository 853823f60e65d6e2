"""Vendor times: read as written, never converted to another zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

_OFFSET = re.compile(r"^([+-])(\d{2}):?(\d{2})$")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# A phone or a server may run ahead, a record of next week is a broken clock.
_AHEAD = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A vendor's time. Without an offset, `at` is its wall time marked as UTC."""

    at: datetime
    zone_offset: str | None

    @property
    def local_date(self) -> date:
        """The calendar date on the person's own wall."""
        return self.at.date()


def parse_moment(text: object) -> Moment | None:
    """Read ISO 8601 with or without offset; None for anything that is no such time.

    A `Z` is an offset of +00:00.
    """
    if not isinstance(text, str) or not 10 <= len(text) <= 40:
        return None
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return Moment(at=parsed.replace(tzinfo=UTC), zone_offset=None)
    return Moment(at=parsed, zone_offset=format_offset(parsed))


def in_offset(moment: datetime, offset: str | None) -> Moment | None:
    """Show an absolute time on the wall of `offset` (`+02:00` or `Z`), None for no offset."""
    if offset is None:
        return None
    if offset == "Z":
        delta = timedelta()
    else:
        match = _OFFSET.match(offset)
        if match is None:
            return None
        sign, hours, minutes = match.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        if delta > timedelta(hours=18):
            return None
        delta = -delta if sign == "-" else delta
    try:
        shown = moment.astimezone(timezone(delta))
    except OverflowError:
        # Before the first day of the calendar, or after its last.
        return None
    return Moment(at=shown, zone_offset=format_offset(shown))


def format_offset(moment: datetime) -> str:
    """Return the offset of an aware time as `+HH:MM`."""
    delta = moment.utcoffset() or timedelta()
    minutes = round(delta.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def parse_day(text: object) -> date | None:
    """Return the calendar date that the first ten characters spell.

    Dates are cut out before any conversion: a vendor's day belongs to the person's wall.
    """
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def credible(moment: Moment, *, now: datetime) -> bool:
    """Say whether a record of this time can exist: after 2000, not days ahead."""
    return _EARLIEST <= moment.at <= now + _AHEAD


def credible_day(day: date, *, now: datetime) -> bool:
    """Say whether a record of this calendar date can exist, wherever on earth."""
    return _EARLIEST.date() <= day <= (now + _AHEAD).date()

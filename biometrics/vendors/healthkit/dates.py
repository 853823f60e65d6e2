"""Dates of Health Auto Export, which writes them as the phone's language setting says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from biometrics.vendors.times import Moment, format_offset, parse_moment

# 2026-05-05 08:15:00 -0500, or 2026-05-05 8:15:00 PM -0500 with whatever space before
# the PM (newer iOS puts U+202F there).
_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[\sT](\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AaPp])\.?[Mm]\.?)?"
    r"(?:\s*([+-]\d{2}):?(\d{2}))?)?",
    re.ASCII,
)
_SPACES = re.compile(r"\s+")
_NOON = 12


def parse_export_date(text: object) -> Moment | None:
    """Read a date of Health Auto Export; None for anything that is no such date.

    A date alone is midnight of the person's wall.
    """
    if not isinstance(text, str) or not 10 <= len(text) <= 40:
        return None
    match = _DATE.fullmatch(_SPACES.sub(" ", text).strip())
    if match is None:
        return parse_moment(text)
    year, month, day, hour, minute, second, half, *offset = match.groups()
    hours = _hours(int(hour or 0), half)
    zone = _zone(offset[0], offset[1]) if offset[0] else None
    if hours is None or (offset[0] and zone is None):
        return None
    try:
        at = datetime(
            int(year),
            int(month),
            int(day),
            hours,
            int(minute or 0),
            int(second or 0),
            tzinfo=zone or UTC,
        )
    except ValueError:
        return None
    return Moment(at=at, zone_offset=format_offset(at) if zone else None)


def _hours(hour: int, half: str | None) -> int | None:
    """Return the hour of the day; 12 AM is midnight, 12 PM is noon."""
    if half is None:
        return hour
    if not 1 <= hour <= _NOON:
        return None
    return hour % _NOON + (_NOON if half in "Pp" else 0)


@lru_cache(maxsize=256)
def _zone(hours: str, minutes: str) -> timezone | None:
    delta = timedelta(hours=int(hours[1:]), minutes=int(minutes))
    if delta > timedelta(hours=18):
        return None
    return timezone(-delta if hours[0] == "-" else delta)

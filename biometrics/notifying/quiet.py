"""Quiet hours: when may somebody be told?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def may_go_at(
    now: datetime, *, since: time | None, until: time | None, zone: str
) -> datetime:
    """Return `now`, or the end of the quiet hours in which it falls.

    The hours are those of a clock in `zone`, may pass midnight, and begin with their
    first minute and end before their last. Equal times are no quiet hours.
    """
    if since is None or until is None or since == until:
        return now
    there = now.astimezone(ZoneInfo(zone))
    clock = there.time().replace(tzinfo=None)
    if since < until:
        is_quiet = since <= clock < until
    else:
        is_quiet = clock >= since or clock < until
    if not is_quiet:
        return now
    day = there.date() + timedelta(days=1 if clock >= until else 0)
    # The wall clock decides, also in the night in which it is put forward.
    end = datetime.combine(day, until, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return max(end, now)

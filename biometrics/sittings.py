"""How long somebody stays signed in: so many hours, and not idle for longer than that.

A session holds when it began and when its person was seen last, to the minute.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

_BEGAN = "sitting_began_at"
_SEEN = "sitting_seen_at"
_MINUTE_S = 60.0


def is_over(session: Mapping[str, Any], *, now: datetime) -> bool:
    """Say whether the person has to sign in again."""
    began, seen = session.get(_BEGAN), session.get(_SEEN)
    if began is None or seen is None:
        return False
    idle = timedelta(minutes=settings.SESSION_IDLE_MINUTES)
    whole = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    at = now.timestamp()
    limits = ((seen, idle), (began, whole))
    return any(at - float(since) > limit.total_seconds() for since, limit in limits)


def touch(session: MutableMapping[str, Any], *, now: datetime) -> None:
    """Note that the person is there; written once a minute, not with each page."""
    at = now.timestamp()
    if session.get(_BEGAN) is None:
        session[_BEGAN] = at
    if at - session.get(_SEEN, 0.0) >= _MINUTE_S:
        session[_SEEN] = at

"""What beat counted a moment ago, for pages that must answer at once.

Counting a day's rows takes a good part of a second where there are millions. Redis holds
the last count for a few minutes; without Redis, or without beat, a page counts itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import redis

from biometrics import nudges

logger = logging.getLogger(__name__)

# Beat counts each minute; what is older than two missed turns is not shown as now.
KEPT_S = 180


def keep(name: str, value: Mapping[str, Any], *, now: datetime) -> None:
    """Store a count as JSON; Redis away means that pages count for themselves."""
    text = json.dumps({"at": now.isoformat(), "value": value})
    try:
        nudges.connect().set(_key(name), text, ex=KEPT_S)
    except (redis.RedisError, OSError) as error:
        logger.info("snapshot.not_kept", extra={"error": type(error).__name__})


def latest(name: str) -> tuple[datetime, dict[str, Any]] | None:
    """Return when something was counted last and what came out, None if not lately."""
    try:
        text = nudges.connect().get(_key(name))
    except (redis.RedisError, OSError) as error:
        logger.info("snapshot.not_read", extra={"error": type(error).__name__})
        return None
    if not isinstance(text, bytes):
        return None
    found = json.loads(text)
    return datetime.fromisoformat(found["at"]), found["value"]


def _key(name: str) -> str:
    return f"auren:counted:{name}"

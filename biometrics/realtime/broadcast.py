"""One group message for many changes, at most four a second for the whole fleet."""

from __future__ import annotations

import logging
from datetime import datetime

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from biometrics import nudges, selectors

logger = logging.getLogger(__name__)

GROUP = "staff"
_TURN = "auren:live-turn"
_TURN_MS = 250


def broadcast_numbers(*, now: datetime) -> bool:
    """Send the dashboard's numbers unless somebody just did; says whether it sent.

    Redis away means that nobody is watching live: the pages still show numbers.
    """
    try:
        if not nudges.connect().set(_TURN, 1, nx=True, px=_TURN_MS):
            return False
        message = {
            "type": "live.numbers",
            "numbers": selectors.dashboard_numbers(now=now),
        }
        async_to_sync(get_channel_layer().group_send)(GROUP, message)
    except (redis.RedisError, OSError) as error:
        logger.info("live.not_sent", extra={"error": type(error).__name__})
        return False
    return True

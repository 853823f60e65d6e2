"""One group message for many changes, at most four a second for the whole fleet."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from biometrics import board, nudges

logger = logging.getLogger(__name__)

GROUP = "staff"
_TURN = "auren:live-turn"
_TURN_MS = 250
# What takes more counting goes along at most this often.
_WHOLE_TURN = "auren:live-whole-turn"
_WHOLE_TURN_MS = 2000
_WATCHED = "auren:live-watched"
# An open socket says so again each minute.
_WATCHED_S = 150


def note_watched() -> None:
    """Note that somebody watches, so that there is a reason to count and to send."""
    with contextlib.suppress(redis.RedisError, OSError):
        nudges.connect().set(_WATCHED, 1, ex=_WATCHED_S)


def broadcast_numbers(*, now: datetime) -> bool:
    """Send the dashboard's numbers unless somebody just did; says whether it sent.

    Nothing is counted while nobody watches. Every two seconds the whole board goes with them. Redis away means that nobody is
    watching live: the pages still show numbers.
    """
    try:
        if not _takes(_TURN, ms=_TURN_MS) or not nudges.connect().exists(_WATCHED):
            return False
        is_whole = _takes(_WHOLE_TURN, ms=_WHOLE_TURN_MS)
        told = board.whole(now=now) if is_whole else board.quick(now=now)
        message = {"type": "live.numbers", **told}
        async_to_sync(get_channel_layer().group_send)(GROUP, message)
    except (redis.RedisError, OSError) as error:
        logger.info("live.not_sent", extra={"error": type(error).__name__})
        return False
    return True


def _takes(turn: str, *, ms: int) -> bool:
    return bool(nudges.connect().set(turn, 1, nx=True, px=ms))

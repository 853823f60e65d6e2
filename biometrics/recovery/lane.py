"""One account after the other: fetching history holds one process of the fleet, not all.

A fetch takes up to 45 s, and thousands may be due at once, after a vendor was away. New
deliveries and urgent messages need the other processes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from biometrics import nudges
from biometrics.recovery import backfill, reconcile

_LANE = "auren:recovery-lane"
# Above the hard time limit of a task: a killed one gives way after it.
LANE_SECONDS = 95
_GIVE_BACK = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"
)


def work(*, now: Callable[[], datetime]) -> bool:
    """Fetch for the account that has waited longest, new ones first.

    Return whether more is due; False too while another process works. Raises
    redis.RedisError.
    """
    client, mine = nudges.connect(), uuid4().hex
    if not client.set(_LANE, mine, nx=True, ex=LANE_SECONDS):
        return False
    try:
        _work(now)
    finally:
        # Whoever overslept the end of their turn must not end another's.
        client.eval(_GIVE_BACK, 1, _LANE, mine)
    moment = now()
    return bool(backfill.due(now=moment, limit=1) or reconcile.due(now=moment, limit=1))


def _work(now: Callable[[], datetime]) -> None:
    for connection_id in backfill.due(now=now(), limit=1):
        backfill.fetch_history(connection_id=connection_id, now=now)
        return
    for connection_id in reconcile.due(now=now(), limit=1):
        reconcile.reconcile_due(connection_id=connection_id, now=now)

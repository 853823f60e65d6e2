"""How a turn ends that cannot go on: what the database must say for the next one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from biometrics import leases, metrics
from biometrics.leases import Lease
from biometrics.publishing import claims
from biometrics.publishing.claims import Claim
from biometrics.publishing.producers import (
    MisconfiguredError,
    RefusedError,
    UnreachableError,
)
from biometrics.publishing.reconcile import AlarmError
from resilience import CircuitBreakerOpen

logger = logging.getLogger(__name__)

BACK_OFF_S = 1.0

State: TypeAlias = Literal["idle", "busy", "published", "waiting", "doubt", "alarm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """How it ended, and when to come back."""

    state: State
    at_once: bool = False
    retry_after: float = 0.0


def give_up(
    *,
    error: Exception,
    shard: int,
    lease: Lease | None,
    claim: Claim | None,
    now: datetime,
) -> GivenUp:
    """Leave the shard so that the next taker does the right thing.

    May raise LeaseLostError when somebody has taken the shard already.
    """
    context = {
        "shard": shard,
        "batch": None if claim is None else claim.seq,
        "error": f"{type(error).__name__}: {error}",
    }
    if isinstance(error, AlarmError):
        logger.error("publish.alarm", extra=context)
        return _alarm(error, lease, now)
    if isinstance(error, CircuitBreakerOpen):
        _give_back(lease, claim, now)
        return GivenUp(state="waiting", retry_after=error.retry_after)
    if isinstance(error, UnreachableError):
        logger.warning("publish.unreachable", extra=context)
        _give_back(lease, claim, now)
        return GivenUp(state="waiting", retry_after=BACK_OFF_S)
    if isinstance(error, RefusedError):
        logger.warning("publish.refused", extra=context)
        _note_refusal(error, lease, claim, now)
        return GivenUp(state="doubt", at_once=True)
    level = logging.ERROR if isinstance(error, MisconfiguredError) else logging.WARNING
    logger.log(level, "publish.doubt", extra=context)
    metrics.PUBLISH_DOUBTS.inc()
    if lease is not None:
        leases.release(lease=lease, now=now, after=BACK_OFF_S)
    return GivenUp(state="doubt", retry_after=BACK_OFF_S)


def _give_back(lease: Lease | None, claim: Claim | None, now: datetime) -> None:
    """Undo the claim: no transaction has been begun, so nothing is in doubt."""
    if lease is None:
        return
    with leases.transact():
        leases.hold(lease=lease, now=now)
        if claim is None:
            leases.release(lease=lease, now=now, after=BACK_OFF_S)
            return
        claims.void(batch_id=claim.batch_id, is_refused=False, now=now)
        leases.release(lease=lease, now=now, after=BACK_OFF_S, is_clean=True)


def _note_refusal(
    error: RefusedError, lease: Lease | None, claim: Claim | None, now: datetime
) -> None:
    """Leave the batch open: its transaction must be fenced before it is tried in parts."""
    assert lease is not None
    assert claim is not None
    with leases.transact():
        leases.hold(lease=lease, now=now)
        claims.note_refusal(batch_id=claim.batch_id, reason=str(error), code=error.code)
        leases.release(lease=lease, now=now)


def _alarm(error: AlarmError, lease: Lease | None, now: datetime) -> GivenUp:
    assert lease is not None
    leases.release(lease=lease, now=now, alarm=str(error)[:500])
    return GivenUp(state="alarm")

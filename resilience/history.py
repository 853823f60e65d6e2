"""The history of circuits: exactly one row for each transition in the fleet.

The process that caused a transition writes its row at once where that cannot hurt the
caller. Whatever it left out, or was killed before, is copied from the store's log by
`backfill_transitions`, which a scheduler calls every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from django.db import connections, router, transaction

from resilience.models import BreakerCursor, BreakerTransition
from resilience.protocol import LOG_START
from resilience.registry import current
from resilience.snapshot import at_utc
from resilience.states import ACTOR_LENGTH, REASON_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resilience.protocol import LogEntry, Transition

logger = logging.getLogger(__name__)


def backfill_transitions() -> int:
    """Copy into the history what the store logged and nobody wrote; return how many rows.

    Raise `StoreUnavailableError` when the store is away. May run at the same time in
    several processes.
    """
    return sum(_backfill(name) for name in current().store.names())


def record_transition(*, transition: Transition) -> None:
    """Write the row of one transition, unless it is there."""
    _insert([_row(transition)])


def record_at_once(*, transition: Transition, **_signal: Any) -> None:
    """Write the row of a transition now, if the caller cannot be hurt by that.

    Not inside a transaction, whose rollback would take the row along and whose connection
    an error would spoil; not on an event loop; not for a circuit that guards the database.
    """
    policy = current().get(transition.breaker).policy
    connection = connections[router.db_for_write(BreakerTransition)]
    if not policy.record_at_once or _is_on_event_loop() or connection.in_atomic_block:
        return
    was_open = connection.connection is not None
    try:
        record_transition(transition=transition)
    # The history must never fail a guarded call, whatever the database answers; the log
    # keeps the transition for the sweep.
    except Exception as error:  # noqa: BLE001
        logger.warning(
            "breaker.record_deferred",
            extra={"breaker": transition.breaker, "error": type(error).__name__},
        )
    finally:
        # Called from a thread that does not belong to Django, nobody else would close it.
        if not was_open:
            connection.close()


def _backfill(name: str) -> int:
    store = current().store
    cursor = BreakerCursor.objects.filter(breaker=name).first()
    after = cursor.entry_id if cursor else LOG_START
    if _order(store.last_entry(name=name)) < _order(after):
        # The store was emptied and its clock is behind: its log begins anew.
        after = LOG_START
    entries = store.log(name=name, after=after)
    if not entries:
        return 0
    missing = _missing(name, entries)
    with transaction.atomic():
        _insert(missing)
        BreakerCursor.objects.update_or_create(
            breaker=name, defaults={"entry_id": entries[-1].entry_id}
        )
    if missing:
        logger.info("breaker.backfilled", extra={"breaker": name, "rows": len(missing)})
    return len(missing)


def _missing(name: str, entries: Sequence[LogEntry]) -> list[BreakerTransition]:
    epochs = {entry.transition.epoch for entry in entries}
    known = set(
        BreakerTransition.objects.filter(
            breaker=name, epoch__gte=min(epochs), epoch__lte=max(epochs)
        ).values_list("epoch", flat=True)
    )
    return [
        _row(entry.transition)
        for entry in entries
        if entry.transition.epoch not in known
    ]


def _insert(rows: Sequence[BreakerTransition]) -> None:
    BreakerTransition.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def _row(transition: Transition) -> BreakerTransition:
    return BreakerTransition(
        breaker=transition.breaker,
        epoch=transition.epoch,
        at=at_utc(transition.at_ms),
        old_state=str(transition.old_state),
        new_state=str(transition.new_state),
        old_mode=str(transition.old_mode),
        new_mode=str(transition.new_mode),
        cause=transition.cause,
        actor=transition.actor[:ACTOR_LENGTH],
        reason=transition.reason[:REASON_LENGTH],
        failures=transition.failures,
        wait_ms=transition.wait_ms,
        error=transition.error[:REASON_LENGTH],
    )


def _order(entry_id: str) -> tuple[int, int]:
    major, _, minor = entry_id.partition("-")
    return int(major), int(minor or 0)


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

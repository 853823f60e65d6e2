"""Storing a renewed grant, however long the database is away.

What was paid with a single-use refresh token exists once: in this process, until it is
stored. So it is stored in a thread of its own that no call and no event loop can end,
tried again while the process lives, and not given up without a word.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future

from django.db import DatabaseError, InterfaceError, connections

from biometrics.connections import grants
from biometrics.connections.grants import NewTokens, RefreshClaim

logger = logging.getLogger(__name__)

KEEP_SECONDS = 600.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0

# No daemons: Python waits for them at the end of a process.
_at_work: set[threading.Thread] = set()


def keep(*, claim: RefreshClaim, new: NewTokens) -> Future[bool]:
    """Begin to store what the vendor gave; the result is that of `store_renewed`.

    It fails with the database's error only after KEEP_SECONDS.
    """
    kept: Future[bool] = Future()
    # Running from now on: whoever waits for it may give up, and ends nothing.
    kept.set_running_or_notify_cancel()
    name = f"grant-{claim.connection_id}"
    thread = threading.Thread(target=_keep, args=(kept, claim, new), name=name)
    _at_work.add(thread)
    thread.start()
    return kept


def wait(*, seconds: float) -> None:
    """Wait until all is stored; for processes that end without asking their threads."""
    until = time.monotonic() + seconds
    for thread in list(_at_work):
        thread.join(max(0.0, until - time.monotonic()))


def _keep(kept: Future[bool], claim: RefreshClaim, new: NewTokens) -> None:
    try:
        is_stored = _store(claim, new)
        if not is_stored:
            # Revoked, or consented anew.
            logger.warning(
                "grant.superseded", extra={"connection": claim.connection_id}
            )
        kept.set_result(is_stored)
    # Whoever waits is told, whatever it was.
    except BaseException as error:  # noqa: BLE001
        logger.critical(
            "grant.lost",
            extra={"connection": claim.connection_id, "error": type(error).__name__},
        )
        kept.set_exception(error)
    finally:
        connections.close_all()
        _at_work.discard(threading.current_thread())


def _store(claim: RefreshClaim, new: NewTokens) -> bool:
    until, pause = time.monotonic() + KEEP_SECONDS, _FIRST_PAUSE_S
    while True:
        try:
            return grants.store_renewed(claim=claim, new=new)
        except (DatabaseError, InterfaceError) as error:
            if time.monotonic() + pause >= until:
                raise
            logger.error(  # noqa: TRY400 - tried again; the trace would repeat itself
                "grant.not_stored_yet",
                extra={
                    "connection": claim.connection_id,
                    "error": type(error).__name__,
                },
            )
        connections.close_all()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)

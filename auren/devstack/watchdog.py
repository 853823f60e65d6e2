"""Ends the processes of a parent that died before it could do so itself.

Run as a script on a bare interpreter (standard library only). Standard input is
a pipe whose other end the parent holds: it writes ``+<pgid>`` for a process
group that must not outlive it and ``-<pgid>`` for one that has ended. The kernel
closes the pipe when the parent goes, however it goes (kill -9 included); what is
still listed then gets SIGTERM and, two seconds later, SIGKILL.

A process group catches what a parent-death signal would miss: the children of
Celery and of uvicorn, and processes that were started from a thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 2.0


def signal_groups(groups: Iterable[int], signum: int) -> set[int]:
    """Signal every group; answer those that still exist."""
    alive = set()
    for pgid in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pgid, signum)
            alive.add(pgid)
    return alive


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pgid = int(line[1:])
        if line.startswith("+"):
            groups.add(pgid)
        else:
            groups.discard(pgid)

    # A stopped process does not see SIGTERM before it is continued.
    alive = signal_groups(groups, signal.SIGTERM)
    alive = signal_groups(alive, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_S
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = signal_groups(alive, 0)
    signal_groups(alive, signal.SIGKILL)


if __name__ == "__main__":
    main()

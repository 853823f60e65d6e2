"""Whether the worker of this process is being stopped, known to all its children.

A worker's main process hears of SIGTERM, its children do the work. They share one page of
memory, made when this module is imported: before the fork.
"""

from __future__ import annotations

import mmap

_SHARED = mmap.mmap(-1, 1)
_NO, _YES = b"\0", b"\1"


def ask() -> None:
    """Ask this process and its children to end what they do and begin nothing new."""
    _SHARED[:] = _YES


def is_asked() -> bool:
    """Return whether nothing new should be begun: what waits is for other workers."""
    return _SHARED[:] == _YES


def forget() -> None:
    """Go on as if nobody had asked; for a worker that starts in the same process."""
    _SHARED[:] = _NO

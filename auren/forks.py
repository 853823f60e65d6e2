"""Database connections and forks: a connection must never have two owners."""

from __future__ import annotations

import threading

from dj_db_conn_pool.core import pool_container
from django.db import connections

# Never freed: ending or resetting these here would do it to the parent's session.
_inherited: list[object] = []


def close_before_fork() -> None:
    """End this process's database sessions, pooled ones too, before it forks.

    Closing alone gives a pooled connection back to its pool, still open.
    """
    connections.close_all()
    pool_container.dispose()


def forget_inherited() -> None:
    """Have a forked child open connections of its own; the parent's stay as they are."""
    for connection in connections.all(initialized_only=True):
        _inherited.append(connection.connection)
        connection.connection = None
    # A thread of the parent may have held the lock.
    pool_container.lock = threading.Lock()
    _inherited.extend(pool_container.values())
    pool_container.clear()

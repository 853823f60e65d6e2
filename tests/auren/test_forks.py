"""Processes that fork keep their database sessions apart, pooled ones too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.postgres

# Opens one session in this thread and leaves one in the pool, as a check at start does;
# then asks in two children, side by side, which sessions they talk through.
_SCRIPT = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from celery.signals import worker_process_init
from django.db import connection
import auren.celery
from auren import forks

def session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def alive(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone()[0]

def session_given_back():
    pid = session()
    connection.close()
    return pid

def of_child():
    read, write = os.pipe()
    if os.fork() == 0:
        worker_process_init.send(sender=None)
        with ThreadPoolExecutor(1) as threads:
            found = [session(), threads.submit(session_given_back).result()]
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    return read

with ThreadPoolExecutor(1) as threads:
    before = [session(), threads.submit(session_given_back).result()]
if "close" in sys.argv:
    forks.close_before_fork()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in before):
        assert time.monotonic() < deadline, "the sessions are still open"
    before = [session()]
children = [of_child(), of_child()]
for _ in children:
    os.wait()
found = [json.loads(os.read(end, 1000)) for end in children]
print(json.dumps({"before": before, "children": found, "after": session()}))
"""


@pytest.mark.parametrize("argument", ["keep", "close"])
def test_a_forked_child_talks_through_sessions_of_its_own(
    make_database: Callable[[], str], argument: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, argument],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            "AUREN_MODE": "development",
            "DATABASE_URL": make_database(),
            "PG_POOL": "true",
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    first, second = map(set, found["children"])
    assert not first & second
    assert not (first | second) & set(found["before"])
    assert found["after"] == found["before"][0]

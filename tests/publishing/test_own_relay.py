"""The relay of a process: its own after a fork, its batches bounded by the settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.publishing.records import read_all
from tests.services import MakeTopic

# Sends one record, forks, and lets both send another: each through its own producer.
_FORK = """
import json, os, sys, threading, time
import django
django.setup()
from biometrics.publishing import relay
from biometrics.publishing.producers import OutgoingRecord

def send(value):
    own = relay._current()._own
    deadline = time.monotonic() + 30
    producer = own.get(deadline=deadline)
    record = OutgoingRecord(
        topic=sys.argv[1], key=b"k", value=value, headers=(), timestamp_ms=1
    )
    producer.stage(records=[record], progress=None, deadline=deadline)
    producer.commit(deadline=deadline)
    return producer.transactional_id

before = send(b"before")
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, json.dumps(send(b"child")).encode())
    os._exit(0)
os.wait()
child = json.loads(os.read(read, 1000))
print(json.dumps({"before": before, "child": child, "after": send(b"parent")}))
os._exit(0)
"""

_LIMITS = """
import json
import django
django.setup()
from biometrics.publishing import relay
limits = relay._current()._limits
print(json.dumps([limits.messages, limits.value_bytes]))
"""


def run(code: str, *argv: str, **environment: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", code, *argv],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.kafka
def test_a_producer_is_never_used_across_a_fork(
    kafka: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    ids = run(_FORK, topic, KAFKA_BOOTSTRAP_SERVERS=kafka)
    assert isinstance(ids, dict)
    assert ids["before"] == ids["after"]
    assert ids["before"] != ids["child"]
    values = [value for _, _, value, _ in read_all(kafka, topic=topic)]
    assert sorted(values) == [b"before", b"child", b"parent"]


def test_a_batch_holds_at_most_32_mib_and_500_messages() -> None:
    assert run(_LIMITS) == [500, 32 * 1024 * 1024]


def test_both_bounds_are_settings() -> None:
    found = run(_LIMITS, KAFKA_BUFFER_MB="4", KAFKA_PUBLISH_BATCH="50")
    assert found == [50, 4 * 1024 * 1024]

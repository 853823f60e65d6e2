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

_OPTIONS = """
import json
import time
import django
django.setup()
from biometrics.publishing import relay
own = relay._current()._own
producer = own.get(deadline=time.monotonic() + 20)
print(json.dumps({
    name: value for name, value in producer.options.items()
    if isinstance(value, int | str | None)
}))
own.discard()
"""
# Those of the specification; what a producer has beside them depends on the mode.
_SPECIFIED = {
    "acks": -1,
    "enable_idempotence": True,
    "compression_type": "snappy",
    "linger_ms": 5,
    "batch_size": 16_384,
    "request_timeout_ms": 30_000,
    "max_in_flight_requests_per_connection": 5,
}


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


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("mode", "back_off"), [("exactly_once", 20), ("at_least_once", 100)]
)
def test_the_relays_own_producer_is_as_specified(
    kafka: str, mode: str, back_off: int
) -> None:
    """Twenty where a begin after a commit would wait that long, else as specified."""
    found = run(_OPTIONS, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_DELIVERY=mode)
    assert isinstance(found, dict)
    wanted = {**_SPECIFIED, "retry_backoff_ms": back_off}
    assert {name: found.get(name) for name in wanted} == wanted
    assert bool(found.get("transactional_id")) == (mode == "exactly_once")
    # The client demands it, or it would not send at all.
    assert found["delivery_timeout_ms"] >= 30_000 + 5


def test_a_batch_holds_at_most_32_mib_and_500_messages() -> None:
    assert run(_LIMITS) == [500, 32 * 1024 * 1024]


def test_both_bounds_are_settings() -> None:
    found = run(_LIMITS, KAFKA_BUFFER_MB="4", KAFKA_PUBLISH_BATCH="50")
    assert found == [50, 4 * 1024 * 1024]

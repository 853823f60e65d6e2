"""What Prometheus hears: once in the fleet where it must be, exact when scraped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from resilience import get_breaker, registry
from resilience.errors import CircuitBreakerOpen
from resilience.metrics import MeteringObserver
from resilience.signals import transitioned
from resilience.states import Action
from tests.resilience.clockwork import (
    BizError,
    StoreHarness,
    fail,
    memory_harness,
    succeed,
)

PREFIX = "tested_circuit_"


@pytest.fixture
def harness() -> StoreHarness:
    harness = memory_harness()
    harness.observer = MeteringObserver(prefix=PREFIX)  # type: ignore[assignment]
    return harness


def value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{PREFIX}{metric}", labels) or 0.0


def test_calls_are_counted_by_outcome_and_timed(harness: StoreHarness) -> None:
    breaker = harness.breaker("m1", failure_threshold=2, ignore=(BizError,))
    for _ in range(3):
        succeed(breaker)
    fail(breaker, BizError())
    fail(breaker)
    fail(breaker)
    for _ in range(4):
        with pytest.raises(CircuitBreakerOpen):
            succeed(breaker)
    breaker.flush()

    def calls(outcome: str) -> float:
        return value("calls_total", breaker="m1", outcome=outcome)

    assert calls("success") == 3
    assert calls("ignored") == 1
    assert calls("failure") == 2
    assert calls("rejected") == 4
    assert value("call_seconds_count", breaker="m1") == 6


def test_state_mode_and_transitions(harness: StoreHarness) -> None:
    breaker = harness.breaker("m2", failure_threshold=1, success_threshold=1)
    fail(breaker)
    assert value("state", breaker="m2") == 1
    harness.clock.advance(60)
    probe = breaker.acquire()
    assert value("state", breaker="m2") == 2
    probe.settle(None)
    assert value("state", breaker="m2") == 0
    breaker.operate(action=Action.OBSERVE, actor="ann", reason="x")

    assert value("mode", breaker="m2") == 3
    for old, new in [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]:
        assert value("transitions_total", breaker="m2", old=old, new=new) == 1
    # A change of mode alone is no change of state.
    assert value("transitions_total", breaker="m2", old="closed", new="closed") == 0


def test_lost_probes_are_counted(harness: StoreHarness) -> None:
    breaker = harness.breaker("m3", failure_threshold=1, lease_seconds=12)
    fail(breaker)
    harness.clock.advance(60)
    breaker.acquire()
    harness.clock.advance(13)
    breaker.acquire()

    assert value("probes_lost_total", breaker="m3") == 1


def test_a_receiver_that_fails_is_logged_and_hurts_nobody(
    harness: StoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(**_signal: object) -> None:
        raise ZeroDivisionError

    def good(**signal: object) -> None:
        heard.append(str(getattr(signal["transition"], "new_state", "")))

    transitioned.connect(broken)
    transitioned.connect(good)
    try:
        fail(harness.breaker("m4", failure_threshold=1))
    finally:
        transitioned.disconnect(broken)
        transitioned.disconnect(good)

    assert heard == ["open"]
    assert "breaker.receiver_failed" in caplog.text


@pytest.mark.redis
@pytest.mark.usefixtures("circuits")
def test_a_scrape_makes_circuits_hand_in_their_counts() -> None:
    breaker = get_breaker("vendor:scraped")
    labels = {"breaker": "vendor:scraped", "outcome": "success"}
    succeed(breaker)
    succeed(breaker)

    assert list(REGISTRY.collect())
    prefix = "biobridge_breaker_"
    assert REGISTRY.get_sample_value(f"{prefix}calls_total", labels) == 2
    assert REGISTRY.get_sample_value(f"{prefix}store_up") == 1
    registry.flush()
    assert REGISTRY.get_sample_value(f"{prefix}calls_total", labels) == 2


PROGRAM = """
import os, sys, time
from django.conf import settings
settings.configure(RESILIENCE={"kafka": {"failure_threshold": 1}})
from resilience import get_breaker
breaker = get_breaker("kafka")
breaker.call(int)
if os.fork() == 0:
    try:
        breaker.call(int, "x")
    except ValueError:
        pass
    os._exit(0)
os.wait()
breaker.flush()
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
scraped = CollectorRegistry()
multiprocess.MultiProcessCollector(scraped)
sys.stdout.write(generate_latest(scraped).decode())
"""


def test_many_processes_give_one_answer_with_the_default_prefix(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert 'circuit_calls_total{breaker="kafka",outcome="success"} 1.0' in done.stdout
    assert 'circuit_calls_total{breaker="kafka",outcome="failure"} 1.0' in done.stdout
    assert 'circuit_call_seconds_count{breaker="kafka"} 2.0' in done.stdout
    assert 'circuit_state{breaker="kafka"} 1.0' in done.stdout
    assert "circuit_store_up 1.0" in done.stdout


def test_a_lost_store_is_seen_until_it_is_back() -> None:
    observer = MeteringObserver(prefix=PREFIX)
    for up in (True, False, True):
        observer.store_up(up=up)
        assert REGISTRY.get_sample_value(f"{PREFIX}store_up") == up

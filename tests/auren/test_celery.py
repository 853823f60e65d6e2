"""Celery, set as its measured traps demand; read back from the application itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auren.celery import app


def test_a_task_is_given_back_when_its_worker_dies() -> None:
    assert app.conf.task_acks_late is True
    assert app.conf.task_reject_on_worker_lost is True


def test_a_process_keeps_no_message_that_another_could_work_on() -> None:
    assert app.conf.worker_prefetch_multiplier == 1


def test_a_lost_message_comes_back_but_a_running_one_does_not() -> None:
    options = app.conf.broker_transport_options
    # A reserved message may wait for as long as the task before it runs.
    assert options["visibility_timeout"] >= 2 * app.conf.task_time_limit
    assert (
        options["unacked_restore_interval"] * options["unacked_restore_throttle"] <= 5
    )


def test_the_hard_limit_leaves_time_after_the_soft_one() -> None:
    assert 0 < app.conf.task_soft_time_limit < app.conf.task_time_limit


def test_nobody_waits_for_results() -> None:
    assert app.conf.task_ignore_result is True
    assert app.conf.result_backend is None


def test_four_processes_and_never_in_the_callers_own() -> None:
    assert app.conf.worker_concurrency == 4
    assert app.conf.task_always_eager is False


def test_urgent_work_comes_first_and_slow_work_last() -> None:
    assert app.conf.broker_transport_options["queue_order_strategy"] == "priority"
    names = [queue.name for queue in app.conf.task_queues]
    assert names == ["auren-urgent", "auren", "auren-slow"]


@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
def test_a_silent_redis_holds_nobody(name: str) -> None:
    assert 0 < app.conf.broker_transport_options[name] <= 5


def test_the_sweep_does_not_wait_behind_what_it_looks_after() -> None:
    """It expires after two seconds: behind a full queue it would never run."""
    assert app.conf.task_routes["biometrics.sweep"] == {"queue": "auren-urgent"}


def test_every_process_and_thread_sends_to_our_broker() -> None:
    """Commands nudge too, and the nudger is a thread of its own."""
    code = """
import threading
import django
from celery import current_app
before = current_app.main
django.setup()
threading.Thread(target=lambda: print(current_app.main)).start()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "auren"

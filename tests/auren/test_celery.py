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


@pytest.mark.parametrize(
    ("task", "seconds"),
    [
        # What was not nudged for waits this long.
        ("biometrics.sweep", 2),
        ("biometrics.check_ledger", 60),
        ("biometrics.replay", 2),
        ("biometrics.roll_up_counts", 300),
        ("biometrics.retain", 3600),
    ],
)
def test_what_must_happen_by_itself_is_on_the_schedule(task: str, seconds: int) -> None:
    (entry,) = (one for one in app.conf.beat_schedule.values() if one["task"] == task)
    assert entry["schedule"] == seconds


def test_everything_on_the_schedule_exists_and_does_not_pile_up() -> None:
    app.loader.import_default_modules()
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"] in app.tasks, name
        # Nobody at work takes it before the next comes: it is gone by then, or soon.
        schedule = entry["schedule"]
        period = schedule if isinstance(schedule, float) else 3600
        is_slow = app.conf.task_routes.get(entry["task"]) == {"queue": "auren-slow"}
        longest = max(period, 30) if is_slow else period
        assert 0 < entry["options"]["expires"] <= longest, name


def test_what_is_in_the_slow_lane_outlives_a_wait_there() -> None:
    """Replays stood still on a busy machine: each turn expired before it was taken."""
    routes = app.conf.task_routes
    lives = {
        entry["task"]: entry["options"]["expires"]
        for entry in app.conf.beat_schedule.values()
        if routes.get(entry["task"]) == {"queue": "auren-slow"}
    }
    assert {"biometrics.replay", "biometrics.notify"} <= lives.keys()
    assert {task: life for task, life in lives.items() if life < 15} == {}


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

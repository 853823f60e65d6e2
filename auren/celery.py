"""The Celery application: queues, schedule, and what a forked child must forget."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from billiard.process import active_children
from celery import Celery
from celery.schedules import crontab
from celery.signals import (
    beat_init,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue
from prometheus_client.multiprocess import mark_process_dead

from auren import broker, exposition, forks
from biometrics import stopping, tracing

# From SIGTERM on: a batch under way has this long. Below the 15 s after which whoever
# asked has the right to kill us.
_STOP_S = 11.0

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auren.settings")

broker.be_patient()
app = Celery("auren")
# For every thread: Celery's own rule depends on who asked for an application first.
app.set_default()
app.config_from_object("django.conf:settings", namespace="CELERY")
# Each queue has an exchange of its own: on a shared one a message reaches all of them.
app.conf.task_queues = [
    Queue(name, Exchange(name), routing_key=name)
    for name in settings.CELERY_TASK_QUEUES_ORDER
]
app.autodiscover_tasks(["biometrics"])
app.conf.beat_schedule = {
    "sweep": {"task": "biometrics.sweep", "schedule": 2.0, "options": {"expires": 2}},
    "ledger": {
        "task": "biometrics.check_ledger",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "waiting": {
        "task": "biometrics.count_waiting",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "rates": {
        "task": "biometrics.count_hrv_rates",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    # In the slow lane a turn outlives many beats: on a busy bridge it waits its time there,
    # and would never come if it ended with the next beat.
    "notices": {
        "task": "biometrics.notify",
        "schedule": 5.0,
        "options": {"expires": 30},
    },
    "rollup": {
        "task": "biometrics.roll_up_counts",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "secrets": {
        "task": "biometrics.count_secrets",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
    "breakers": {
        "task": "biometrics.keep_breakers",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "recovery": {
        "task": "biometrics.recover_due",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "replay": {
        "task": "biometrics.replay",
        "schedule": 2.0,
        "options": {"expires": 30},
    },
    "connections": {
        "task": "biometrics.check_connections",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    # Eight looks fit into the 48 hours; more would use up what vendors allow.
    "reconcile": {
        "task": "biometrics.reconcile",
        "schedule": crontab(hour="*/6", minute="41"),
        "options": {"expires": 3600},
    },
    # Ahead of the look at what they have.
    "rosters": {
        "task": "biometrics.compare_rosters",
        "schedule": crontab(hour="*/6", minute="21"),
        "options": {"expires": 3600},
    },
    "streams": {
        "task": "biometrics.watch_streams",
        "schedule": crontab(minute="11"),
        "options": {"expires": 3600},
    },
    "subscriptions": {
        "task": "biometrics.sync_subscriptions",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 3600},
    },
    "retention": {
        "task": "biometrics.retain",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
}


@worker_init.connect
@beat_init.connect
def refuse_unsafe(**_kwargs: Any) -> None:
    """End a worker or beat that must not run; signals swallow every other exception."""
    from auren.safety import verdicts  # noqa: PLC0415 - the apps are loaded by now

    try:
        verdicts.refuse_unsafe()
    except ImproperlyConfigured as unsafe:
        raise SystemExit(str(unsafe)) from None


@worker_init.connect
def begin(**_kwargs: Any) -> None:
    """Work, whatever an earlier worker of this process was told."""
    stopping.forget()


@worker_shutting_down.connect
def stop_soon(**_kwargs: Any) -> None:
    """End what is under way and begin nothing; kill what takes too long for that.

    Celery alone would wait for ever, for a broker that says nothing for instance.
    """
    stopping.ask()
    watchdog = threading.Timer(_STOP_S, _kill_children)
    watchdog.daemon = True
    watchdog.start()


def _kill_children() -> None:
    """Kill what still works: its messages go back to the queue, its batch is in doubt.

    Whoever takes the shard next clears that up, as after any death.
    """
    for child in active_children():
        if child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)


@worker_process_init.connect
def forget_inherited_connections(**_kwargs: Any) -> None:
    """Give each child database connections of its own."""
    forks.forget_inherited()


@worker_process_shutdown.connect
def hand_over_spans(**_kwargs: Any) -> None:
    """Let no span of a child that ends wait for the next export."""
    tracing.stop()


@worker_ready.connect
def serve_metrics(**_kwargs: Any) -> None:
    """Serve this worker host's metrics, all its processes added up."""
    if settings.WORKER_METRICS_PORT:
        exposition.serve(settings.WORKER_METRICS_PORT)


@worker_process_shutdown.connect
def store_grants(**_kwargs: Any) -> None:
    """Let no renewed grant end with its process while the database may come back."""
    from biometrics.connections import keeping  # noqa: PLC0415 - as above

    keeping.wait(seconds=_STOP_S)


@worker_process_shutdown.connect
def forget_gauges(pid: int, **_kwargs: Any) -> None:
    """Take the gauges of a process that ended out of the sum."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        mark_process_dead(pid)  # type: ignore[no-untyped-call]

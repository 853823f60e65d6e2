"""What the development stack consists of, in the order in which it is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auren.devstack import surroundings
from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.members import Program
from auren.devstack.services import HOST, EmbeddedService, preferred_port
from auren.devstack.surroundings import State
from auren.devstack.valkey import EmbeddedValkey

MANAGE = (sys.executable, str(surroundings.ROOT / "manage.py"))

WORKER_NAME = "devstack@localhost"
# Seconds between SIGTERM and SIGKILL; stopping everything stays below 20 in all.
_PATIENCE_S = {
    "simulator": 1.0,
    "fakes": 1.0,
    "web": 4.0,
    "beat": 1.0,
    "worker": 8.0,
    "kafka": 3.0,
    "valkey": 1.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears what the processes say and that one has ended."""

    said: Callable[[str, str], None]
    ended: Callable[[str, int], None]


def embedded_services(
    *, here: State, listeners: Listeners
) -> tuple[list[EmbeddedService], dict[str, str]]:
    """Make the services that the environment does not name, with their addresses."""
    services: list[EmbeddedService] = []
    addresses = {}
    if not os.environ.get("REDIS_URL"):
        valkey = EmbeddedValkey(
            data_dir=here.home / "valkey",
            port=preferred_port(16379),
            persist=True,
            on_line=partial(_warnings_of_valkey, listeners),
            on_exit=partial(listeners.ended, "valkey"),
        )
        services.append(valkey)
        addresses["REDIS_URL"] = valkey.url
    if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        kafka = EmbeddedKafka(
            data_dir=here.home / "kafka",
            port=preferred_port(19092),
            on_line=partial(listeners.said, "kafka"),
            on_exit=partial(listeners.ended, "kafka"),
        )
        services.append(kafka)
        addresses["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    for service in services:
        service.stop_timeout_s = _PATIENCE_S[service.name]
    return services, addresses


def fake_vendor_addresses(*, port: int) -> dict[str, str]:
    """Name the fake APIs as the settings know them."""
    return {
        f"AUREN_{vendor}_API_BASE": f"http://{HOST}:{port}/{vendor.lower()}"
        for vendor in surroundings.FAKED_VENDORS
    }


def programs(
    *, here: State, env: Mapping[str, str], people: int, listeners: Listeners
) -> list[Program]:
    """Make the bridge's own processes; the simulator is last."""
    port = env["PORT"]
    fakes_port = env["DEVSTACK_FAKES_PORT"]
    to_bridge = ("--bridge", f"http://{HOST}:{port}")
    command_lines = {
        "worker": _celery("worker", "-c", env["WORKERS"], "-n", WORKER_NAME),
        "beat": _celery("beat", "--schedule", str(here.home / "celerybeat-schedule")),
        "web": _module("uvicorn", *_uvicorn(port=port, processes=env["WEB_PROCESSES"])),
        "fakes": (*MANAGE, "fake_vendors", "--port", fakes_port, *to_bridge),
    }
    if people:
        command_lines["simulator"] = (
            *(*MANAGE, "simulate", "--people", str(people), *to_bridge),
            *("--vendors-url", f"http://{HOST}:{fakes_port}", "--register"),
        )
    return [
        Program(
            name=name,
            argv=argv,
            env={**env, **_environment_of(name, here=here)},
            stop_timeout_s=_PATIENCE_S[name],
            on_line=partial(listeners.said, name),
            on_exit=partial(listeners.ended, name),
        )
        for name, argv in command_lines.items()
    ]


def _warnings_of_valkey(listeners: Listeners, line: str) -> None:
    # "<pid>:M <date and time> # <warning>"; the kernel's settings are not ours.
    _, is_warning, text = line.partition(" # ")
    if is_warning and "overcommit" not in text and "bye bye" not in text:
        listeners.said("valkey", text)


def _environment_of(role: str, *, here: State) -> dict[str, str]:
    return {
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir(here, role=role)),
        # In a container one is root, and need not be told so at every start.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


def metrics_dir(here: State, *, role: str) -> Path:
    """Name the folder that the processes of one role share for their counters."""
    return here.home / "metrics" / role


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _celery(*arguments: str) -> tuple[str, ...]:
    return _module("celery", "-A", "auren", "-q", *arguments)


def _uvicorn(*, port: str, processes: str) -> tuple[str, ...]:
    return (
        "auren.asgi:application",
        *("--http", "auren.protocol:CarefulProtocol"),
        *("--host", HOST, "--port", port, "--workers", processes),
        # Browsers keep the live socket open; they come back by themselves.
        *("--timeout-graceful-shutdown", "2"),
        "--no-server-header",
        *("--log-level", "warning"),
    )

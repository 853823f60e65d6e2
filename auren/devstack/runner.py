"""``make run``: the whole bridge in one terminal, on services of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from celery import Celery
from django.core.management import call_command
from django.db import connections

from auren.devstack import composition, kafka_jars, staff, surroundings
from auren.devstack.composition import Listeners
from auren.devstack.members import Member, Program
from auren.devstack.process import ManagedProcess, ServiceError
from auren.devstack.services import (
    HOST,
    EmbeddedService,
    accepts,
    port_is_free,
    preferred_port,
)
from auren.devstack.signals import StopRequested, StopSignals
from auren.devstack.supervision import Supervisor
from auren.devstack.surroundings import State
from auren.devstack.terminal import Terminal

READY_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    port: int
    people: int


class Runner:
    """Starts everything, keeps it up, and stops it in order.

    ``run`` returns after Ctrl-C or SIGTERM and raises ServiceError, its message one
    clear sentence, when the stack cannot be started or kept up. Nothing is left
    running either way.
    """

    def __init__(self, *, options: Options, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._state: State = surroundings.state()
        self._say = partial(terminal.line, "devstack")
        self._stop_signals = StopSignals()
        self._members: list[Member] = []
        self._supervisor = Supervisor(members=self._members, say=self._say)
        self._listeners = Listeners(said=terminal.line, ended=self._supervisor.ended)

    def run(self) -> None:
        """Run until somebody asks for the end."""
        with _only_copy(self._state), self._stop_signals.watching():
            try:
                self._start()
                while True:
                    # A member that is just being started must not be lost sight of.
                    event = self._supervisor.wait(timeout=0.5)
                    with self._stop_signals.held():
                        self._supervisor.step(event)
            except StopRequested:
                self._say("Stopping.")
            finally:
                self._stop_signals.hold_for_good()
                self._stop()

    def _start(self) -> None:
        began = time.monotonic()
        if not port_is_free(self._options.port):
            msg = (
                f"Port {self._options.port} is taken: stop what listens there, or "
                f"choose another with make run PORT={self._options.port + 1}."
            )
            raise ServiceError(msg)
        services, addresses = self._start_services()
        password = self._prepare_database()
        env = self._environment(addresses)
        for service in services:
            service.wait_until_ready()
            self._say(f"{service.name} is up on port {service.port}.")
        self._create_topics(env)
        self._start_programs(env)
        took = time.monotonic() - began
        worker_metrics = f"http://{HOST}:{env['WORKER_METRICS_PORT']}/metrics"
        greeting = self._greeting(password=password, worker_metrics=worker_metrics)
        self._terminal.block([f"The bridge is up after {took:.0f} s.", *greeting])

    def _start_services(self) -> tuple[list[EmbeddedService], dict[str, str]]:
        services, addresses = composition.embedded_services(
            here=self._state, listeners=self._listeners
        )
        if "KAFKA_BOOTSTRAP_SERVERS" in addresses:
            if not kafka_jars.are_here():
                self._say("Fetching Apache Kafka, this once (47 MB).")
            kafka_jars.class_path()
        for service in services:
            self._launch(service)
        return services, addresses

    def _environment(self, addresses: dict[str, str]) -> dict[str, str]:
        """Compose everybody's environment and leave it for manage.py beside us."""
        fakes_port = preferred_port(18889)
        addresses |= composition.fake_vendor_addresses(port=fakes_port)
        addresses["PORT"] = str(self._options.port)
        addresses["DEVSTACK_FAKES_PORT"] = str(fakes_port)
        addresses["WORKER_METRICS_PORT"] = str(preferred_port(19101))
        heading = "Addresses of the development stack that runs now."
        surroundings.write(self._state.services_file, addresses, heading=heading)
        defaults = {"PYTHONUNBUFFERED": "1", "WORKERS": "4", "WEB_PROCESSES": "2"}
        given = {name: value for name, value in os.environ.items() if value}
        composed = surroundings.environment(self._state)
        return {**defaults, **composed, **given, **addresses}

    def _prepare_database(self) -> str | None:
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        password = staff.make_admin()
        # The processes to come have connections of their own.
        connections.close_all()
        self._say("The database is up to date.")
        return password

    def _create_topics(self, env: dict[str, str]) -> None:
        with self._stop_signals.held():
            topics = ManagedProcess(
                name="topics",
                argv=[*composition.MANAGE, "kafka_topics"],
                env=env,
                cwd=surroundings.ROOT,
            )
        try:
            if not topics.wait(timeout=READY_TIMEOUT_S) or topics.returncode:
                msg = f"The topics could not be created:\n{topics.last_lines}"
                raise ServiceError(msg)
        finally:
            topics.kill9()
        self._say("The topics exist.")

    def _start_programs(self, env: dict[str, str]) -> None:
        shutil.rmtree(self._state.home / "metrics", ignore_errors=True)
        (self._state.home / "static").mkdir(exist_ok=True)
        made = composition.programs(
            here=self._state,
            env=env,
            people=self._options.people,
            listeners=self._listeners,
        )
        for program in made:
            composition.metrics_dir(self._state, role=program.name).mkdir(parents=True)
        programs = {program.name: program for program in made}
        simulator = programs.pop("simulator", None)
        for program in programs.values():
            self._launch(program)
        fakes_port = int(env["DEVSTACK_FAKES_PORT"])
        _wait(programs["fakes"], until=partial(accepts, fakes_port))
        _wait(programs["worker"], until=partial(_worker_answers, env["REDIS_URL"]))
        _wait(programs["web"], until=self._web_is_healthy)
        if simulator is not None:
            self._launch(simulator)

    def _launch(self, member: Member) -> None:
        with self._stop_signals.held():
            self._members.append(member)
            member.launch()

    def _web_is_healthy(self) -> bool:
        address = f"http://{HOST}:{self._options.port}/health"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _greeting(self, *, password: str | None, worker_metrics: str) -> list[str]:
        address = f"http://{HOST}:{self._options.port}"
        sign_in = (
            f"user {staff.USERNAME}, password {password} (shown this once)"
            if password
            else f"user {staff.USERNAME} (new password: manage.py changepassword)"
        )
        return [
            f"Admin    {address}/admin/   {sign_in}",
            f"Health   {address}/health",
            f"Metrics  {address}/metrics   (worker: {worker_metrics})",
            "Ctrl-C stops everything; the data stays for the next start.",
        ]

    def _stop(self) -> None:
        began = time.monotonic()
        for member in reversed(self._members):
            if member.running:
                member.stop()
                self._say(f"{member.name} is stopped.")
        self._state.services_file.unlink(missing_ok=True)
        self._say(f"Everything is stopped ({time.monotonic() - began:.1f} s).")


def _worker_answers(redis_url: str) -> bool:
    control = Celery(broker=redis_url, set_as_current=False).control
    name = composition.WORKER_NAME
    return bool(control.ping(destination=[name], timeout=1, limit=1))


def _wait(program: Program, *, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not until():
        if not program.running or time.monotonic() > deadline:
            program.process.wait(timeout=1)
            msg = f"{program.name} did not come up; its last words are above."
            raise ServiceError(msg)
        time.sleep(0.05)


@contextmanager
def _only_copy(here: State) -> Iterator[None]:
    """Hold the lock of this state; ServiceError when another copy does."""
    # Health data, if only of simulated people, and secrets.
    here.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with here.lock_file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            msg = (
                f"Another copy is already running here (process {lock.read().strip()})"
                ": stop it with Ctrl-C in its terminal."
            )
            raise ServiceError(msg) from None
        with contextlib.suppress(OSError):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield

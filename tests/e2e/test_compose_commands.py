"""The very commands and health checks of docker-compose.yml, without an engine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import psycopg2
import pytest
import yaml

from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.process import ManagedProcess
from auren.devstack.services import free_port
from tests import signer
from tests.auren.test_env_example import OF_A_VENDOR, REQUIRED, documented
from tests.databases import parameters_of
from tests.e2e.bodies import LOW_HRV, terra_sleep

ROOT = Path(__file__).resolve().parents[2]
_UP_S = 60.0
pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]


class Composed:
    """Runs services as compose would: their command, environment and health check.

    What differs is what an engine isolates: ports, and the folders under /tmp and /app;
    and that Redis is an embedded one, which the doctor would refuse.
    """

    def __init__(self, *, home: Path, addresses: dict[str, str]) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        self.port = free_port()
        own = {
            "8889": str(self.port),
            "9101": str(free_port()),
            "/tmp": str(home),
            "/app": str(home),
        }
        text = re.sub("|".join(own), lambda found: own[found[0]], text)
        # As compose does with what .env says.
        text = re.sub(
            r"\$\{(\w+):-([^}]*)\}",
            lambda found: documented().get(found[1], found[2]),
            text,
        )
        self.services: dict[str, Any] = yaml.safe_load(text)["services"]
        self.home, self._addresses = home, addresses
        self.processes: dict[str, ManagedProcess] = {}

    def environment(self, name: str) -> dict[str, str]:
        inherited = {
            k: v
            for k, v in os.environ.items()
            if k not in documented() and not OF_A_VENDOR.fullmatch(k)
        }
        own = self.services[name]["environment"]
        assert self._addresses.keys() <= own.keys()
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOSTNAME": socket.gethostname(),
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            **documented(),
            **REQUIRED,
            **own,
            **self._addresses,
            "AUREN_ACCEPTED_RISKS": f"{own['AUREN_ACCEPTED_RISKS']},auren.E023",
        }

    def start(self, name: str) -> ManagedProcess:
        environment = self.environment(name)
        if folder := environment.get("PROMETHEUS_MULTIPROC_DIR"):
            environment["PROMETHEUS_MULTIPROC_DIR"] = f"{folder}-{name}"
            Path(f"{folder}-{name}").mkdir()
        self.processes[name] = ManagedProcess(
            name=name,
            argv=self.services[name]["command"],
            env=environment,
            cwd=ROOT,
        )
        return self.processes[name]

    def wait_until_healthy(self, name: str) -> None:
        """Ask the health check, as compose reads it, until it is content."""
        kind, *check = self.services[name]["healthcheck"]["test"]
        argv = ["sh", "-c", check[0].replace("$$", "$")] if "SHELL" in kind else check

        def healthy() -> bool:
            process = self.processes[name]
            assert process.running, process.last_lines
            done = subprocess.run(
                argv,
                env=self.environment(name),
                cwd=ROOT,
                capture_output=True,
                timeout=_UP_S,
                check=False,
            )
            return done.returncode == 0

        until(healthy, f"{name} is healthy")

    def stop(self) -> dict[str, int | None]:
        """SIGTERM in the reverse of the start, and the grace that compose gives."""
        codes = {}
        for name, process in reversed(self.processes.items()):
            process.send_signal(signal.SIGTERM)
            grace = self.services[name].get("stop_grace_period", "10s")
            assert process.wait(timeout=float(grace.removesuffix("s"))), name
            codes[name] = process.returncode
        return codes


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _UP_S
    while not true():
        assert time.monotonic() < deadline, f"waited {_UP_S:.0f} s until {what}"
        time.sleep(0.1)


@pytest.fixture
def composed(
    tmp_path: Path,
    make_database: Callable[[], str],
    redis_url: str,
    own_kafka: EmbeddedKafka,
) -> Iterator[Composed]:
    running = Composed(
        home=tmp_path,
        addresses={
            "DATABASE_URL": make_database(),
            "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": own_kafka.bootstrap_servers,
        },
    )
    yield running
    for process in running.processes.values():
        process.kill9()


def collect_static(composed: Composed) -> None:
    """Make the image's static files with the very line of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("/app/", f"{composed.home}/")
    (line,) = re.findall(
        r"^RUN (SECRET_KEY=.*\\\n.*collectstatic.*)$", text, re.MULTILINE
    )
    environment = {"PATH": composed.environment("web")["PATH"]}
    subprocess.run(["sh", "-c", line], env=environment, cwd=ROOT, check=True)


def published(url: str, *, account: str) -> bool:
    session = psycopg2.connect(**parameters_of(url))
    try:
        with session.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM biometrics_outboxmessage m"
                " JOIN biometrics_vendorconnection c ON c.subject_id = m.subject"
                " WHERE c.account_id = %s AND m.status = 'published'",
                [account],
            )
            return bool(cursor.fetchall()[0][0])
    finally:
        session.close()


def test_the_composed_bridge_takes_a_delivery_to_kafka(composed: Composed) -> None:
    collect_static(composed)
    migrated = composed.start("migrate")
    assert migrated.wait(timeout=_UP_S)
    assert migrated.returncode == 0, migrated.last_lines
    del composed.processes["migrate"]
    examined = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        env=composed.environment("migrate"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert examined.returncode == 0, examined.stdout + examined.stderr
    for name in ("web", "worker", "beat"):
        composed.start(name)
    for name in ("web", "worker", "beat"):
        composed.wait_until_healthy(name)

    account = str(uuid4())
    body = terra_sleep(user_id=account, rmssd=LOW_HRV)
    secret = REQUIRED["AUREN_WEBHOOK_SECRET_TERRA"]
    proof = signer.headers("terra", secret=secret, body=body, at=datetime.now(tz=UTC))
    base = f"http://127.0.0.1:{composed.port}"
    with urlopen(Request(f"{base}/webhooks/terra", data=body, headers=proof)) as answer:
        assert answer.status == 200
    url = composed.environment("web")["DATABASE_URL"]
    until(lambda: published(url, account=account), "the messages are published")
    with urlopen(f"{base}/admin/login/") as page:
        assert "biometrics/console." in page.read().decode()
    metrics = composed.environment("worker")["WORKER_METRICS_PORT"]

    def counted() -> bool:
        # A message is marked before it is counted.
        with urlopen(f"http://127.0.0.1:{metrics}/metrics") as page:
            return "biobridge_published_total" in page.read().decode()

    until(counted, "the worker's metrics count what it published")

    assert composed.stop() == {"beat": 0, "worker": 0, "web": 0}
    with pytest.raises(URLError):
        urlopen(f"{base}/health")

"""Two hosts that know each other only through PostgreSQL, Redis and Kafka."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auren.devstack.process import ManagedProcess
from auren.devstack.services import free_port
from tests import signer
from tests.e2e.bodies import USUAL_HRV, terra_sleep
from tests.e2e.stack import ROOT, SECRETS, Stack, running

pytestmark = pytest.mark.kafka

_TOPIC = "terra-biometric-events"


class Host:
    """Web and workers under an address, a name and a home of their own."""

    def __init__(self, stack: Stack, *, name: str, address: str) -> None:
        self._stack = stack
        self._address, self._port = address, free_port()
        self._home = stack.home / name
        self._home.mkdir()
        uvicorn = ["uvicorn", "auren.asgi:application", "--host", address]
        careful = ["--http", "auren.protocol:CarefulProtocol"]
        self._processes = [
            self._start("web", *uvicorn, "--port", str(self._port), *careful),
            self._start(
                *("worker", "celery", "-A", "auren", "worker", "-c", "2"),
                *("-n", f"worker@{name}", "-l", "WARNING"),
            ),
        ]
        stack.until(self._answers, f"{name} answers")

    def deliver(self, mark: str) -> None:
        """Have one night of one person stored by this host."""
        body = terra_sleep(user_id=mark, summary_id=mark, rmssd=USUAL_HRV[0])
        proof = signer.headers(
            "terra", secret=SECRETS["terra"], body=body, at=datetime.now(tz=UTC)
        )
        headers = {"content-type": "application/json", **proof}
        assert self._ask("POST", "/webhooks/terra", body=body, headers=headers) == 200

    def die(self) -> None:
        """Lose power: every process at once."""
        for process in self._processes:
            process.kill9()

    def _answers(self) -> bool:
        try:
            return self._ask("GET", "/health") == 200
        except OSError:
            return False

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> int:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return connection.getresponse().status
        finally:
            connection.close()

    def _start(self, name: str, module: str, *argv: str) -> ManagedProcess:
        metrics: Path = self._home / name
        metrics.mkdir()
        environment = self._stack.environment
        return ManagedProcess(
            name=f"{self._home.name}-{name}",
            argv=[sys.executable, "-m", module, *argv],
            env={
                **environment,
                "PROMETHEUS_MULTIPROC_DIR": str(metrics),
                "TMPDIR": str(self._home),
                "HOME": str(self._home),
                "ALLOWED_HOSTS": "127.0.0.2,127.0.0.3",
            },
            cwd=ROOT,
        )


class SharedServices(Stack):
    """PostgreSQL, Redis, Kafka and the one beat; web and workers belong to hosts."""

    def start_web(self) -> None:
        """Leave it to the hosts."""

    def start_worker(self, module: str = "celery") -> None:
        """Leave it to the hosts."""


@pytest.fixture(scope="module")
def stack(services_dir: Path) -> Iterator[Stack]:
    with running(SharedServices, services_dir) as stack:
        yield stack


def test_the_second_host_goes_on_when_the_first_is_gone(stack: Stack) -> None:
    first = Host(stack, name="first", address="127.0.0.2")
    second = Host(stack, name="second", address="127.0.0.3")
    try:
        marks = [f"person-{number}" for number in range(40)]
        for number, mark in enumerate(marks[:30]):
            (first, second)[number % 2].deliver(mark)
        first.die()
        for mark in marks[30:]:
            second.deliver(mark)
        records = stack.records(_TOPIC, enough=lambda found: len(found) >= len(marks))
        ids = [value for record in records for value in _ids(record.headers)]
        assert len(ids) == len(set(ids)) == len(marks)
        assert "the imbalance is 0" in stack.manage("ledger")
    finally:
        second.die()


def _ids(headers: list[tuple[str, bytes]]) -> list[str]:
    return [value.decode() for name, value in headers if name == "ce_id"]

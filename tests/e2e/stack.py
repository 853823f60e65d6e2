"""The whole bridge in real processes: web, worker, beat on real services."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psycopg2
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import ManagedProcess, ServiceError
from auren.devstack.services import free_port
from auren.devstack.valkey import EmbeddedValkey
from tests import signer, wire
from tests.databases import migrate, parameters_of
from tests.services import unavailable

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "oura": "e2e-oura-secret",
    "whoop": "e2e-whoop-secret",
    "terra": "e2e-terra-secret",
}
OURS = ("AUREN_", "KAFKA_", "RESILIENCE_", "DATABASE_", "REDIS_")
_START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Stack:
    """Starts services and processes, and lets a test hurt each of them."""

    worker_children = 4

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        self.home = home
        self.port = free_port()
        self.vendors_port = free_port()
        self.postgres = TemporaryPostgres(data_dir=home / "postgres")
        self.valkey = EmbeddedValkey(data_dir=home / "valkey")
        self.kafka = EmbeddedKafka(data_dir=home / "kafka")
        self.processes: dict[str, ManagedProcess] = {}

    @property
    def environment(self) -> dict[str, str]:
        base = f"http://127.0.0.1:{self.vendors_port}"
        # What other tests left in the environment is not this bridge's.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            "AUREN_MODE": "development",
            "SECRET_KEY": "e2e-" + "0123456789" * 6,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "PG_POOL": "true",
            "AUREN_TOKEN_KEYS": "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU=",
            "AUREN_OURA_CLIENT_ID": "e2e-oura",
            "AUREN_OURA_CLIENT_SECRET": SECRETS["oura"],
            "AUREN_OURA_VERIFICATION_TOKEN": "e2e-verification",
            "AUREN_OURA_API_BASE": f"{base}/oura",
            "AUREN_WHOOP_CLIENT_ID": "e2e-whoop",
            "AUREN_WHOOP_CLIENT_SECRET": SECRETS["whoop"],
            "AUREN_WHOOP_API_BASE": f"{base}/whoop",
            "AUREN_WEBHOOK_SECRET_TERRA": SECRETS["terra"],
            "AUREN_TERRA_API_BASE": f"{base}/terra",
        }

    def start(self) -> None:
        self.postgres.start()
        self.valkey.start()
        self.kafka.start()
        migrate(self.postgres.url)
        self.manage("kafka_topics")
        self.start_web()
        self.start_worker()
        self.start_beat()

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.kill9()
        for service in (self.kafka, self.valkey, self.postgres):
            service.kill9()

    def start_web(self) -> None:
        argv = ["-m", "uvicorn", "auren.asgi:application", "--port", str(self.port)]
        careful = ("--http", "auren.protocol:CarefulProtocol")
        self._start("web", [*argv, *careful, "--workers", "2"])
        self.until(self.web_answers, "the web process answers", seconds=_START_S)

    def web_answers(self) -> bool:
        try:
            return self.request("GET", "/health").status == 200
        except OSError:
            return False

    def start_worker(self, module: str = "celery") -> None:
        """Start the worker; `module` is Celery's own or one that prepares it."""
        argv = ["-m", module, "-A", "auren", "worker", "-c", str(self.worker_children)]
        self._start("worker", [*argv, "-l", "WARNING"])

    def start_beat(self) -> None:
        schedule = str(self.home / "beat-schedule")
        argv = ["-m", "celery", "-A", "auren", "beat", "-s", schedule, "-l", "WARNING"]
        self._start("beat", argv)

    def start_vendors(self) -> None:
        argv = ["manage.py", "fake_vendors", "--port", str(self.vendors_port)]
        process = self._start("vendors", argv)
        process.wait_for_line(str(self.vendors_port), timeout=_START_S)

    def manage(self, *argv: str) -> str:
        """Run one management command that must succeed; return what it printed."""
        code, said = self.run(*argv)
        assert code == 0, said
        return said

    def run(self, *argv: str) -> tuple[int, str]:
        """Run one management command; return its exit code and what it printed."""
        lines: list[str] = []
        process = ManagedProcess(
            name=argv[0],
            argv=[sys.executable, "manage.py", *argv],
            env=self.environment,
            cwd=ROOT,
            on_line=lines.append,
        )
        assert process.wait(timeout=_START_S), f"{argv} did not end"
        assert process.returncode is not None
        return process.returncode, "\n".join(lines)

    def _start(self, name: str, argv: list[str]) -> ManagedProcess:
        log = self.home / f"{name}.log"
        metrics = self.home / f"metrics-{name}"
        metrics.mkdir(exist_ok=True)

        def keep(line: str) -> None:
            with log.open("a") as file:
                file.write(f"{line}\n")

        process = ManagedProcess(
            name=name,
            argv=[sys.executable, *argv],
            env={**self.environment, "PROMETHEUS_MULTIPROC_DIR": str(metrics)},
            cwd=ROOT,
            on_line=keep,
        )
        self.processes[name] = process
        return process

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={k.lower(): v for k, v in response.getheaders()},
                body=response.read(),
            )
        finally:
            connection.close()

    def deliver(
        self,
        vendor: str,
        body: bytes,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
        timeout: float = 30,
    ) -> Answer:
        proof = signer.headers(
            vendor,
            secret=secret or SECRETS[vendor],
            body=body,
            at=datetime.now(tz=UTC),
        )
        return self.request(
            "POST",
            path or f"/webhooks/{vendor}",
            body=body,
            headers={"content-type": "application/json", **proof, **(headers or {})},
            timeout=timeout,
        )

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        session = psycopg2.connect(**parameters_of(self.postgres.url))
        try:
            with session, session.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            session.close()

    def until(
        self, true: Callable[[], object], what: str, *, seconds: float = 60
    ) -> None:
        """Wait for something to become true; fail saying what did not."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s until {what}"
            time.sleep(0.05)

    @contextmanager
    def reader(self, *topics: str) -> Iterator[KafkaConsumer]:
        """Read topics from the beginning as an independent consumer would."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            parts = [
                TopicPartition(topic, number)
                for topic in topics
                for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            consumer.assign(parts)
            consumer.seek_to_beginning()
            yield consumer
        finally:
            consumer.close()

    def records(
        self,
        *topics: str,
        enough: Callable[[list[ConsumerRecord]], bool],
        seconds: float = 60,
    ) -> list[ConsumerRecord]:
        """Read until `enough` says so, then whatever else is committed by then.

        Every record is held to the contract with consumers.
        """
        found: list[ConsumerRecord] = []
        deadline = time.monotonic() + seconds
        with self.reader(*topics) as consumer:
            while not enough(found):
                assert time.monotonic() < deadline, f"only {len(found)} records came"
                for batch in consumer.poll(timeout_ms=200).values():
                    found.extend(batch)
            while batches := consumer.poll(timeout_ms=500):
                for batch in batches.values():
                    found.extend(batch)
        for record in found:
            wrong = wire.objections(
                key=record.key, headers=dict(record.headers), value=record.value
            )
            assert not wrong, (headers_of(record).get("ce_type"), wrong)
        return found


@contextmanager
def running(kind: type[Stack], services_dir: Path) -> Iterator[Stack]:
    """Start a stack of this kind in a folder of its own, and stop it whatever happens."""
    stack = kind(services_dir / f"stack-{uuid4().hex[:8]}")
    try:
        try:
            stack.start()
        except ServiceError as error:
            unavailable("postgres", reason=str(error))
        yield stack
    finally:
        stack.stop()


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}

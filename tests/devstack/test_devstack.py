"""``manage.py devstack`` as a person uses it: a process, a terminal, Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auren.devstack import surroundings
from auren.devstack.process import ManagedProcess, process_state, process_tree
from auren.devstack.services import HOST, free_port

ROOT = Path(__file__).parents[2]
# What the test run has set for itself must not look like services of the user's.
_FOREIGN = ("AUREN_", "DATABASE_", "REDIS_", "KAFKA_", "SECRET_KEY", "DJANGO_", "PG_")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    cache = os.environ.get("AUREN_CACHE_DIR", "")
    return {**kept, "AUREN_DEVSTACK_DIR": str(home), "AUREN_CACHE_DIR": cache}


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def refused(env: dict[str, str], *arguments: str) -> str:
    """Run a devstack that must not start; answer what it says."""
    done = subprocess.run(
        manage("devstack", *arguments),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_second_copy_says_so(env: dict[str, str], home: Path) -> None:
    home.mkdir()
    with (home / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refused(env, "--port", str(free_port()))
    assert "Another copy is already running here (process 4711)" in said


def test_a_taken_port_says_so(env: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(env, "--port", str(port))
    assert f"Port {port} is taken" in said


def test_no_network_for_the_first_fetch_says_so(
    env: dict[str, str], tmp_path: Path
) -> None:
    # An unreachable proxy is what a machine without network looks like to the fetch.
    away = {"HTTPS_PROXY": f"http://{HOST}:1", "AUREN_CACHE_DIR": str(tmp_path / "c")}
    said = refused({**env, **away}, "--port", str(free_port()))
    assert "the first start needs network access" in said


class Stack:
    """A running devstack."""

    def __init__(self, *, env: dict[str, str], port: int) -> None:
        self.port = port
        self.lines: list[str] = []
        self.process = ManagedProcess(
            name="devstack",
            argv=manage("devstack", "--port", str(port), "--people", "0"),
            env=env,
            on_line=self.lines.append,
        )

    def wait_until_up(self) -> None:
        self.process.wait_for_line("Ctrl-C stops", timeout=120)

    def pid_of(self, *words: str) -> int:
        """Find the process with these words in its command line; 0 for none."""
        for pid in process_tree(self.process.pid):
            with contextlib.suppress(OSError):
                said = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if all(word.encode() in said for word in words):
                    return pid
        return 0

    def get(self, path: str) -> tuple[int, bytes]:
        address = f"http://{HOST}:{self.port}{path}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read()


@pytest.fixture
def stack(env: dict[str, str]) -> Iterator[Stack]:
    started = Stack(env=env, port=free_port())
    yield started
    started.process.kill9()


def eventually(holds: Callable[[], bool], *, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.kafka
@pytest.mark.chaos
def test_it_starts_serves_recovers_and_leaves_nothing(
    stack: Stack, env: dict[str, str], home: Path
) -> None:
    stack.wait_until_up()
    text = "\n".join(stack.lines)
    assert re.search(r"user admin, password \S{16} \(shown this once\)", text)
    assert stack.get("/health")[0] == 200
    assert stack.get("/admin/login/")[0] == 200
    assert b"biobridge_" in stack.get("/metrics")[1]
    assert json.loads(stack.get("/health")[1])["status"] == "healthy"

    # A command typed in another terminal finds the stack by itself.
    consumed = subprocess.run(
        manage("consume", "--from-beginning"),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert consumed.returncode == 0, consumed.stderr

    worker = stack.pid_of("celery", "worker")
    assert worker
    os.kill(worker, signal.SIGKILL)
    stack.process.wait_for_line("worker was ended by signal 9", timeout=10)
    assert eventually(lambda: process_state(worker) in "ZX")
    assert eventually(lambda: stack.pid_of("celery", "worker") not in {0, worker})

    tree = process_tree(stack.process.pid)
    assert len(tree) > 8
    os.kill(stack.process.pid, signal.SIGINT)
    assert stack.process.wait(timeout=20)
    assert stack.process.returncode == 0
    assert eventually(lambda: all(process_state(pid) in "ZX" for pid in tree))
    assert not surroundings.State(home=home).services_file.exists()

    order = [
        line.split("│")[1].split()[0]
        for line in stack.lines
        if line.endswith("is stopped.")
    ]
    assert order == ["fakes", "web", "beat", "worker", "kafka", "valkey"]


@pytest.mark.kafka
@pytest.mark.chaos
def test_killed_at_the_first_breath_it_leaves_nothing_and_starts_again(
    env: dict[str, str],
) -> None:
    first = Stack(env=env, port=free_port())
    first.process.wait_for_line("up on port", timeout=60)
    tree = process_tree(first.process.pid)
    os.kill(first.process.pid, signal.SIGKILL)
    assert eventually(lambda: all(process_state(pid) in "ZX" for pid in tree))

    second = Stack(env=env, port=first.port)
    try:
        second.wait_until_up()
    finally:
        os.kill(second.process.pid, signal.SIGTERM)
        assert second.process.wait(timeout=20)
    assert second.process.returncode == 0

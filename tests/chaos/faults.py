"""What is done to the processes: each fault, and how the world comes back from it."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from os import kill
from pathlib import Path

import redis

from auren.devstack.process import process_tree
from tests.chaos.worker import LEASE_SECONDS
from tests.e2e.stack import Stack

_DISK = "192m"


class ChaosStack(Stack):
    """The bridge with short leases, its broker on a small disk of its own.

    A process that ends by itself is started again, as docker-compose.yml does
    (`restart: unless-stopped`); `restarts` names each, `last_words` has what it said last.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.clock_s = 0
        self.restarts: list[str] = []
        self.last_words: list[str] = []
        self._starting = threading.RLock()
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._disk = home / "kafka"
        self._disk.mkdir()
        self.disk_is_small = self._mount()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "CHAOS_CLOCK_S": str(self.clock_s)}

    def start_worker(self, module: str = "tests.chaos.worker") -> None:
        super().start_worker(module)

    def start(self) -> None:
        super().start()
        self._supervisor.start()

    def replace(self, name: str) -> None:
        """Kill a process with its children, and start it again at once."""
        with self._starting:
            self.processes[name].kill9()
            self._start_again(name)

    def _start_again(self, name: str) -> None:
        starts = {
            "web": self.start_web,
            "worker": self.start_worker,
            "beat": self.start_beat,
        }
        starts[name]()

    def _supervise(self) -> None:
        while not self._over.wait(0.5):
            for name in ("web", "worker", "beat"):
                with self._starting:
                    if self.processes[name].running or self._over.is_set():
                        continue
                    # Its children must not outlive it: nothing else would end them.
                    self.processes[name].kill9()
                    self.restarts.append(name)
                    self.last_words.append(self.processes[name].last_lines)
                    self._start_again(name)

    def stop(self) -> None:
        self._over.set()
        if self._supervisor.is_alive():
            self._supervisor.join(timeout=90)
        super().stop()
        if self.disk_is_small:
            subprocess.run(["umount", "-l", str(self._disk)], check=True)

    def _mount(self) -> bool:
        size = f"size={_DISK}"
        argv = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._disk)]
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0

    def fill_disk(self) -> None:
        """Leave the broker no byte to write."""
        with suppress(OSError), (self._disk / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(65_536)):
                pass

    def free_disk(self) -> None:
        (self._disk / "filler").unlink()


class Faults:
    """Every fault once, in an order and at moments that the seed decides."""

    def __init__(
        self, stack: ChaosStack, *, randomness: random.Random, kafka_away_s: float
    ) -> None:
        self._stack = stack
        self._random = randomness
        self._kafka_away_s = kafka_away_s

    def all(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the faults that this machine can have, shuffled."""
        faults: list[tuple[str, Callable[[], None]]] = [
            ("kill -9 worker child", self.worker_child),
            ("kill -9 worker", self.worker),
            ("kill -9 web", self.web),
            ("kill -9 Redis", self.redis),
            ("FLUSHALL", self.flush),
            ("kill -9 PostgreSQL", self.postgres),
            ("kill -9 Kafka, away", self.kafka),
            ("SIGSTOP past the lease", self.freeze),
            ("clock aside", self.clock),
        ]
        if self._stack.disk_is_small:
            faults.append(("full disk of Kafka", self.disk))
        self._random.shuffle(faults)
        return faults

    def worker_child(self) -> None:
        with suppress(ProcessLookupError):
            kill(self._random.choice(self._children()), signal.SIGKILL)

    def worker(self) -> None:
        self._stack.clock_s = 0
        self._stack.replace("worker")

    def web(self) -> None:
        self._stack.replace("web")

    def redis(self) -> None:
        self._stack.valkey.kill9()
        self._pause(2)
        self._stack.valkey.start()

    def flush(self) -> None:
        with redis.Redis.from_url(self._stack.valkey.url) as client:
            client.flushall()

    def postgres(self) -> None:
        self._stack.postgres.kill9()
        self._pause(2)
        self._stack.postgres.start()

    def kafka(self) -> None:
        self._stack.kafka.kill9()
        self._pause(self._kafka_away_s)
        self._stack.kafka.start()

    def freeze(self) -> None:
        """Stop half of the children, so that the others take over; then wake them."""
        frozen = self._children()[::2]
        for pid in frozen:
            with suppress(ProcessLookupError):
                kill(pid, signal.SIGSTOP)
        self._pause(LEASE_SECONDS * 2)
        for pid in frozen:
            with suppress(ProcessLookupError):
                kill(pid, signal.SIGCONT)

    def clock(self) -> None:
        """Replace the worker by one that is 90 s off."""
        self._stack.clock_s = self._random.choice((-90, 90))
        self._stack.replace("worker")

    def disk(self) -> None:
        self._stack.fill_disk()
        self._pause(4)
        self._stack.free_disk()
        # A broker that could not write ends by itself, sooner or later.
        self._stack.kafka.kill9()
        self._stack.kafka.start()

    def _children(self) -> list[int]:
        def tree() -> list[int]:
            return process_tree(self._stack.processes["worker"].pid)

        self._stack.until(
            lambda: len(tree()) > 4, "the worker has its children", seconds=90
        )
        return tree()[1:]

    def _pause(self, seconds: float) -> None:
        threading.Event().wait(seconds)

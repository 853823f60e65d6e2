"""What the embedded services have in common: one life cycle, and ways to hurt them.

Each runs as a child process on 127.0.0.1 with its files in a directory of its own.
``make run`` and the tests use the same classes.
"""

from __future__ import annotations

import abc
import contextlib
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from auren.devstack.process import ManagedProcess, ServiceError

HOST = "127.0.0.1"
# Below the range from which systems take source ports: a client that keeps trying
# to reach a stopped server there could otherwise be given the server's own port,
# connect to itself and keep the server from coming back.
_PORTS = range(15000, 32000)


def free_port() -> int:
    """Pick a port of 127.0.0.1 that nobody listens on now."""
    for port in random.sample(_PORTS, 200):
        if port_is_free(port):
            return port
    msg = f"No free port between {_PORTS.start} and {_PORTS.stop} on {HOST}."
    raise ServiceError(msg)


def preferred_port(port: int) -> int:
    """Answer this port when nobody listens on it, else any free one."""
    return port if port_is_free(port) else free_port()


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class EmbeddedService(abc.ABC):
    """A server that we start, wait for and stop.

    ``port=0`` takes a free one at the first start; it stays the same afterwards, so
    that clients find the service again after ``stop`` or ``kill9`` and ``start``.
    Usable as a context manager.
    """

    name: str
    start_timeout_s = 30.0
    stop_timeout_s = 10.0
    stop_signal: int = signal.SIGTERM

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 0,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self._on_line = on_line
        self._on_exit = on_exit
        self._process: ManagedProcess | None = None

    @abc.abstractmethod
    def _prepare(self) -> None:
        """Make what must exist before the first start; harmless when it does."""

    @abc.abstractmethod
    def _argv(self) -> list[str | Path]: ...

    @abc.abstractmethod
    def _is_ready(self, process: ManagedProcess) -> bool:
        """Whether this very process serves; another one may hold the port."""

    def _user(self) -> str | None:
        """Name the account to run as; None for our own."""
        return None

    @property
    def process(self) -> ManagedProcess:
        """The running process; ServiceError when there is none."""
        if self._process is None:
            msg = f"{self.name} has not been started."
            raise ServiceError(msg)
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> Self:
        """Start it and return when it answers; ServiceError names what went wrong."""
        for _attempt in range(3):
            port_is_ours_to_choose = self.port == 0
            self.launch()
            try:
                self.wait_until_ready()
            except ServiceError:
                # Another process may have taken the port since it was found free.
                if not (port_is_ours_to_choose and accepts(self.port)):
                    raise
                self.port = 0
            else:
                return self
        msg = f"{self.name} found no port that others did not take first."
        raise ServiceError(msg)

    def launch(self) -> None:
        """Start the process without waiting for it."""
        if self.running:
            msg = f"{self.name} is already running on port {self.port}."
            raise ServiceError(msg)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        self._prepare()
        self._process = ManagedProcess(
            name=self.name,
            argv=self._argv(),
            user=self._user(),
            on_line=self._on_line,
            on_exit=self._on_exit,
        )

    def wait_until_ready(self) -> None:
        """Return when it answers; stop it and raise ServiceError when it does not."""
        deadline = time.monotonic() + self.start_timeout_s
        while not self._is_ready(self.process):
            if not self.process.running:
                self.process.wait(timeout=5)
                fate = f"ended with code {self.process.returncode}"
            elif time.monotonic() > deadline:
                fate = f"was not ready within {self.start_timeout_s:.0f} s"
            else:
                time.sleep(0.02)
                continue
            last_lines = self.process.last_lines
            self.kill9()
            msg = f"{self.name} {fate} (port {self.port}). It said:\n{last_lines}"
            raise ServiceError(msg)

    def stop(self) -> None:
        """End it in good order, or by force after ``stop_timeout_s``."""
        if self._process is not None:
            self._process.stop(timeout=self.stop_timeout_s, signum=self.stop_signal)

    def kill9(self) -> None:
        """End it as a power cut would; ``start`` brings it back on port and data."""
        if self._process is not None:
            self._process.kill9()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        self.process.pause()

    def resume(self) -> None:
        """Continue after ``pause``."""
        self.process.resume()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def answers(port: int, *, question: bytes, answer: bytes) -> bool:
    """Whether the server on this port answers so; False when it is not there yet."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((HOST, port), timeout=1) as connection,
    ):
        connection.sendall(question)
        return connection.recv(len(answer)) == answer
    return False


def accepts(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False

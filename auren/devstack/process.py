"""Child processes that are watched, can be hurt on purpose, and never outlive us."""

from __future__ import annotations

import atexit
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

KEPT_LINES = 200
_WATCHDOG = Path(__file__).with_name("watchdog.py")


class ServiceError(RuntimeError):
    """A process did not do what it was started for; the message says what to do."""


class UnavailableError(ServiceError):
    """This machine cannot offer the service: something has to be installed first."""


class _Watchdog:
    """One per process of ours, started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._closed = False

    def close(self) -> None:
        """Let it go; it first ends the children that are still listed."""
        with self._lock:
            self._closed = True
            if self._process is not None and self._owner == os.getpid():
                self._process.communicate()

    def tell(self, line: str) -> None:
        with self._lock:
            if self._closed:
                return
            # A fork of ours holds a copy of the pipe, but is another parent.
            if self._process is None or self._owner != os.getpid():
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_WATCHDOG)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                    cwd="/",
                )
                self._owner = os.getpid()
            assert self._process.stdin is not None
            # It is gone only when somebody killed it; children are then on their own.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()


_watchdog = _Watchdog()
atexit.register(_watchdog.close)


def process_tree(pid: int) -> list[int]:
    """``pid`` and all its descendants, parents first (Linux; elsewhere ``pid`` alone)."""
    found = [pid]
    for parent in found:
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in listing.read_text().split())
    return found


def process_state(pid: int) -> str:
    """Read the kernel's letter: R, S and D run, T is stopped, Z and X have ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class ManagedProcess:
    """A child in its own process group with its output read line by line.

    ``on_line`` receives each line of its output (stdout and stderr together) on a
    reader thread; ``on_exit`` the return code once the output has ended. The last
    lines are kept for error messages.
    """

    def __init__(
        self,
        *,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._on_exit = on_exit
        self._lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            [str(argument) for argument in argv],
            env=dict(env) if env is not None else None,
            cwd=cwd,
            user=user,
            group=_primary_group(user=user) if user else None,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal reaches us alone, so that we stop in order.
            start_new_session=True,
        )
        self.pid = self._popen.pid
        _watchdog.tell(f"+{self.pid}")
        self._ended = threading.Event()
        self._reader = self._thread(target=self._read, purpose="output")
        self._thread(target=self._await_end, purpose="end")

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    @property
    def last_lines(self) -> str:
        """The end of the output, for an error message."""
        with self._changed:
            return "\n".join(list(self._lines)[-15:])

    def has_said(self, text: str) -> bool:
        """Whether one of the kept lines contains ``text``."""
        with self._changed:
            return any(text in line for line in self._lines)

    def wait(self, *, timeout: float) -> bool:
        """Whether it ended, output read to the end, within ``timeout`` seconds."""
        return self._ended.wait(timeout)

    def wait_for_line(self, pattern: str, *, timeout: float) -> str:
        """Return the first kept line that matches; ServiceError when it never comes."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self._lines:
                    if expression.search(line):
                        return line
                left = deadline - time.monotonic()
                if self._ended.is_set() or left <= 0:
                    break
                self._changed.wait(left)
        fate = f"ended ({self.returncode})" if self._ended.is_set() else "did not say"
        msg = f"{self.name} {fate} before {pattern!r}:\n{self.last_lines}"
        raise ServiceError(msg)

    def send_signal(self, signum: int) -> None:
        """Signal the process alone; nothing happens when it has ended."""
        if self.running:
            os.kill(self.pid, signum)

    def signal_tree(self, signum: int) -> None:
        """Signal the process and everything it started."""
        if not self.running:
            return
        for pid in process_tree(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def stop(self, *, timeout: float = 10.0, signum: int = signal.SIGTERM) -> None:
        """``signum``, then SIGKILL to it and its children after ``timeout`` seconds."""
        self.send_signal(signum)
        # A stopped process does not see the signal before it is continued.
        self.signal_tree(signal.SIGCONT)
        if not self.wait(timeout=timeout):
            self.kill9()

    def kill9(self) -> None:
        """SIGKILL to it and all its children; they are gone when this returns."""
        self.signal_tree(signal.SIGKILL)
        if not self.wait(timeout=10):
            msg = f"{self.name} (pid {self.pid}) is still there after SIGKILL."
            raise ServiceError(msg)

    def pause(self) -> None:
        """SIGSTOP to it and all its children; they stand still when this returns."""
        self.signal_tree(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while any(process_state(pid) in "RSD" for pid in process_tree(self.pid)):
            if time.monotonic() > deadline:
                msg = f"{self.name} (pid {self.pid}) does not stand still."
                raise ServiceError(msg)
            time.sleep(0.001)

    def resume(self) -> None:
        """SIGCONT to it and all its children."""
        self.signal_tree(signal.SIGCONT)

    def _thread(self, *, target: Callable[[], None], purpose: str) -> threading.Thread:
        thread = threading.Thread(
            target=target, name=f"{purpose}-of-{self.name}", daemon=True
        )
        thread.start()
        return thread

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            for line in _lines(output):
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
                if self._on_line is not None:
                    self._on_line(line)

    def _await_end(self) -> None:
        # While it is not reaped its id cannot belong to anybody else: the moment to
        # end the children that it left behind, which also keep its output open.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        self._reader.join(5)
        _watchdog.tell(f"-{self.pid}")
        with self._changed:
            self._ended.set()
            self._changed.notify_all()
        if self._on_exit is not None:
            self._on_exit(code)


def _lines(output: Iterator[str]) -> Iterator[str]:
    for line in output:
        text = line.rstrip()
        if text:
            yield text


def _primary_group(*, user: str) -> int:
    # Imported here: the module exists on Unix only, and only root needs it.
    import pwd  # noqa: PLC0415

    return pwd.getpwnam(user).pw_gid

"""Sender and watcher as processes beside a running bridge."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

from auren.devstack.process import ManagedProcess
from tests.bench.paced import send, watch
from tests.bench.paced.send import Sent
from tests.e2e.stack import ROOT, SECRETS, Stack

_SLACK_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Milliseconds."""

    count: int
    p50: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Spread:
        """Describe at least two figures; of none at all, zeros."""
        if len(milliseconds) < 2:
            return cls(count=len(milliseconds), p50=0.0, p99=0.0)
        return cls(
            count=len(milliseconds),
            p50=median(milliseconds),
            p99=quantiles(milliseconds, n=100)[98],
        )


class Load:
    """A paced sender that runs until `finished`."""

    def __init__(self, stack: Stack, *, rate: float, seconds: float) -> None:
        self._file = stack.home / f"sent-{uuid4().hex[:8]}"
        self._seconds = seconds
        how = (stack.port, SECRETS["terra"], rate, seconds, self._file)
        self._process = _python("tests.bench.paced.send", *how)

    @property
    def running(self) -> bool:
        return self._process.running

    def finished(self) -> list[Sent]:
        """Wait for the end; return what was sent."""
        if not self._process.wait(timeout=self._seconds + _SLACK_S):
            self._process.kill9()
            msg = "The sender does not end."
            raise RuntimeError(msg)
        if self._process.returncode:
            raise RuntimeError(self._process.last_lines)
        return send.read(self._file)


class Watch:
    """A read_committed consumer that notes when each record came."""

    def __init__(self, stack: Stack, *, seconds: float) -> None:
        self._file = stack.home / f"seen-{uuid4().hex[:8]}"
        self._seconds = seconds
        bootstrap = stack.kafka.bootstrap_servers
        self._process = _python(
            "tests.bench.paced.watch", bootstrap, seconds, self._file
        )
        self._process.wait_for_line("ready", timeout=_SLACK_S)

    def seen(self, *, count: int) -> dict[str, float]:
        """Wait for so many records or the end; return when each mark was seen."""
        arriving = watch.expected(self._file).with_suffix(".arriving")
        arriving.write_text(str(count))
        arriving.rename(watch.expected(self._file))
        if not self._process.wait(timeout=self._seconds + _SLACK_S):
            self._process.kill9()
            msg = "The consumer does not end."
            raise RuntimeError(msg)
        if self._process.returncode:
            raise RuntimeError(self._process.last_lines)
        return watch.read(self._file)


def _python(module: str, *arguments: str | float | Path) -> ManagedProcess:
    return ManagedProcess(
        name=module,
        argv=[sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
    )

"""The processes of the development stack, as the runner sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auren.devstack.process import ManagedProcess
from auren.devstack.surroundings import ROOT


class Member(Protocol):
    """What is started, started again when it crashes, and stopped."""

    name: str

    @property
    def running(self) -> bool: ...

    def launch(self) -> None:
        """Start it without waiting."""

    def stop(self) -> None:
        """End it in good order, by force when it takes too long."""


@dataclass(kw_only=True)
class Program:
    """A process of the bridge itself."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stop_timeout_s: float
    on_line: Callable[[str], None]
    on_exit: Callable[[int], None]
    _process: ManagedProcess | None = field(default=None, init=False)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def process(self) -> ManagedProcess:
        assert self._process is not None
        return self._process

    def launch(self) -> None:
        """Start it without waiting."""
        self._process = ManagedProcess(
            name=self.name,
            argv=self.argv,
            env=self.env,
            cwd=ROOT,
            on_line=self.on_line,
            on_exit=self.on_exit,
        )

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to it and its children after ``stop_timeout_s``."""
        if self._process is not None:
            self._process.stop(timeout=self.stop_timeout_s)

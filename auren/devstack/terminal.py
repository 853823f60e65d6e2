"""One terminal for many processes: each line says in its own colour who speaks."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

_WIDTH = 9
_COLOURS = {
    "kafka": "35",
    "valkey": "31",
    "web": "32",
    "worker": "36",
    "beat": "34",
    "fakes": "33",
    "simulator": "95",
    "devstack": "1",
}
_LEVEL_COLOURS = {"warning": "33", "error": "31", "critical": "31;1"}


class Terminal:
    """Prints lines of several threads whole; colours only where somebody sees them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._colours = _wants_colours(self._stream)

    def line(self, name: str, text: str) -> None:
        """Print what the process called ``name`` said, mostly one line."""
        prefix = self._paint(f"{name:<{_WIDTH}} │", _COLOURS.get(name, "37"))
        lines = self._readable(text).splitlines() or [""]
        self._print("\n".join(f"{prefix} {line}" for line in lines))

    def block(self, lines: list[str]) -> None:
        """Print lines that a person should find again, set apart from the rest."""
        width = max(len(line) for line in lines) + 2
        framed = [f"│ {line:<{width - 1}}│" for line in lines]
        text = "\n".join(["┌" + "─" * width + "┐", *framed, "└" + "─" * width + "┘"])
        self._print("\n" + self._paint(text, "1") + "\n")

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            # The terminal was closed: the processes still have to be stopped.
            except (OSError, ValueError):
                return

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text

    def _readable(self, text: str) -> str:
        """Turn a log event into words; anything else stays as it is."""
        if not text.startswith("{"):
            return text
        try:
            event = json.loads(text)
        except ValueError:
            return text
        if not isinstance(event, dict) or "event" not in event:
            return text
        return self._event(event)

    def _event(self, event: Mapping[str, object]) -> str:
        level = str(event.get("level", ""))
        told = {"event", "level", "time", "logger"}
        details = [f"{k}={v}" for k, v in event.items() if k not in told]
        words = " ".join([str(event["event"]), *details])
        if level in _LEVEL_COLOURS:
            return f"{self._paint(level, _LEVEL_COLOURS[level])} {words}"
        return words


def _wants_colours(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

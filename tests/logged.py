"""What the bridge logs, written by its own logging configuration."""

from __future__ import annotations

import io
import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from django.conf import settings


class Written:
    """The lines that LOGGING's handlers have written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def events(self, beginning: str = "") -> list[dict[str, Any]]:
        """Return the events, in order, whose name begins so."""
        found = [orjson.loads(line) for line in self.stream.getvalue().splitlines()]
        return [one for one in found if one["event"].startswith(beginning)]


@contextmanager
def as_configured() -> Iterator[Written]:
    """Log as LOGGING says meanwhile; what was written is printed in the end."""
    # Sets Django up once more when it is imported, and logging with it.
    import auren.asgi  # noqa: F401, PLC0415

    written = Written()
    configured: dict[str, Any] = settings.LOGGING
    handlers = {
        name: {**handler, "stream": written.stream}
        for name, handler in configured["handlers"].items()
    }
    names = ["", *configured["loggers"]]
    before = {name: _state(logging.getLogger(name)) for name in names}
    logging.config.dictConfig({**configured, "handlers": handlers})
    try:
        yield written
    finally:
        for name, state in before.items():
            _restore(logging.getLogger(name), state)
        # The suite's search for what was planted looks at what tests print.
        print(written.stream.getvalue(), file=sys.stderr)  # noqa: T201


def _state(logger: logging.Logger) -> dict[str, Any]:
    kept = ("level", "propagate", "disabled")
    found = {name: getattr(logger, name) for name in kept}
    return {**found, "handlers": [*logger.handlers], "filters": [*logger.filters]}


def _restore(logger: logging.Logger, state: dict[str, Any]) -> None:
    logger.__dict__.update(state)
    # Forgets what the former level allowed.
    logger.setLevel(state["level"])

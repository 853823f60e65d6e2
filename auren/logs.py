"""Log lines: one JSON event each, and a lid on libraries that repeat themselves."""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson

from biometrics import bearings

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}

# They repeat themselves thousands of times: the client while a broker is away, the exporter
# while a collector is. Each has a limit of its own.
_CHATTY_LIBRARIES = ("kafka", "opentelemetry")

# Whoever has the link of an invitation can use it; Django names the paths that it refuses.
_LINK = re.compile(r"(/connect/)[^/?\s\"'\\]{20,}")


class EventFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the `extra` fields.

    Lines of a request or of work on a delivery also name it: `request_id`, `trace_id`,
    `delivery`.

    The secret part of a connect link is left out, wherever in the line it stands.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; values that JSON cannot hold are shown as text."""
        event: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **bearings.fields(),
        }
        event |= {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        line = orjson.dumps(event, default=str).decode()
        return _LINK.sub(r"\1…", line)


class RateLimit(logging.Filter):
    """Let through at most `per_minute` records a minute and say how many were not.

    For one library: whoever shares a limit is silenced by what the others repeat.
    """

    def __init__(self, *, per_minute: int) -> None:
        super().__init__()
        self._per_minute = per_minute
        # Handlers filter before they lock.
        self._lock = threading.Lock()
        self._minute = -1
        self._passed = 0
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is written."""
        with self._lock:
            minute = int(monotonic() // 60)
            if minute != self._minute:
                if self._dropped:
                    record.suppressed_before = self._dropped
                self._minute, self._passed, self._dropped = minute, 0, 0
            self._passed += 1
            if self._passed <= self._per_minute:
                return True
            self._dropped += 1
            return False


def logging_config(*, level: str) -> dict[str, Any]:
    """Return Django's LOGGING: events on stderr, from `level` on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"event": {"()": EventFormatter}},
        "filters": {
            name: {"()": RateLimit, "per_minute": 20} for name in _CHATTY_LIBRARIES
        },
        "handlers": {
            "stderr": _on_stderr(),
            **{name: _on_stderr(filters=[name]) for name in _CHATTY_LIBRARIES},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **{
                name: {"handlers": [name], "level": "WARNING", "propagate": False}
                for name in _CHATTY_LIBRARIES
            },
            "django.request": {"level": "ERROR"},
            # Events like all others. Requests are counted, not logged: their addresses
            # may hold a connect link, a verification token or a vendor's code.
            "uvicorn": {"handlers": ["stderr"], "propagate": False},
            "uvicorn.error": {"handlers": [], "propagate": True},
            "uvicorn.access": {"handlers": [], "propagate": False},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # A list that is asked by a column it hides answers 400; nothing of ours failed.
            "django.security.DisallowedModelAdminLookup": {"level": "CRITICAL"},
        },
    }


def _on_stderr(**more: Any) -> dict[str, Any]:
    return {"class": "logging.StreamHandler", "formatter": "event", **more}

"""Spans along a delivery's way, for OpenTelemetry; nothing at all unless AUREN_TRACING.

Four of them: `intake` (a request), `store` (its row), `process` (steps 4 to 7) and
`publish` (a message). They hang together by the traceparent that a delivery, its messages
and its records carry: the sender's, or that of `intake` where the sender has none.
Neither a person nor a value is in any of them. A collector that is away stops nobody.
"""

from __future__ import annotations

import time
from typing import Protocol

from django.conf import settings

Attribute = str | int


class Span(Protocol):
    """Something under way; `traceparent` names it, empty while tracing is off."""

    traceparent: str

    def end(self, *, error: str = "", **attributes: Attribute) -> None:
        """Say how it went; `error` is the kind of what went wrong."""
        ...


class _Nothing:
    """What a span is while nobody traces."""

    traceparent = ""

    def end(self, *, error: str = "", **attributes: Attribute) -> None:
        """Forget it."""


_NOTHING = _Nothing()


def begin(name: str, *, traceparent: str = "") -> Span:
    """Begin a span below the one that `traceparent` names, or a trace of its own."""
    if not settings.AUREN_TRACING:
        return _NOTHING
    from biometrics import spans  # noqa: PLC0415 - not at all while nobody traces

    return spans.begin(name, traceparent=traceparent)


def clock() -> int:
    """Return a beginning for `record`."""
    return time.time_ns() if settings.AUREN_TRACING else 0


def record(
    name: str,
    *,
    since: int,
    traceparent: str,
    error: str = "",
    **attributes: Attribute,
) -> None:
    """Add what began at `since` and ends now to the trace; without one, to none."""
    if not since or not traceparent:
        return
    from biometrics import spans  # noqa: PLC0415 - as above

    span = spans.begin(name, traceparent=traceparent, since=since)
    span.end(error=error, **attributes)


def stop() -> None:
    """Hand over what waits, for a few seconds at most; a process calls it at its end."""
    if settings.AUREN_TRACING:
        from biometrics import spans  # noqa: PLC0415 - as above

        spans.stop()

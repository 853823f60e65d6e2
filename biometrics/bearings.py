"""Whose work is being done: what every log line of a request or a delivery can be found by.

A web request has an id of its own, which no sender chooses, and the trace that its sender
names, if any. The steps after it have no request: their lines carry the delivery's id and
trace, by which the lines of all processes come together. `auren.logs` adds `fields()`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self
from uuid import UUID

# W3C: version ff and ids of zeros alone are invalid, and name nothing.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


class Bearings:
    """The ids of one request or one delivery; text is made of them only for a log line."""

    __slots__ = ("_headers", "_number", "delivery", "traceparent")

    def __init__(
        self,
        number: int | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        traceparent: str = "",
        delivery: UUID | None = None,
    ) -> None:
        self._number = number
        self._headers = headers
        self.traceparent = traceparent
        self.delivery = delivery

    def fields(self) -> dict[str, str]:
        """Return what is known of them, as log lines name it."""
        found = {}
        if self._number is not None:
            found["request_id"] = f"{self._number:016x}"
        if named := _TRACEPARENT.fullmatch(self.traceparent or self._sent()):
            found["trace_id"] = named["trace"]
        if self.delivery is not None:
            found["delivery"] = str(self.delivery)
        return found

    def _sent(self) -> str:
        named = (
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._headers
        )
        return traceparent_in(named)


_current: ContextVar[Bearings | None] = ContextVar("bearings", default=None)


class following:  # noqa: N801 - used as contextlib's are
    """Do what is inside for `kept`, which `current()` has returned or a step has made.

    A class, since it stands around each delivery of a batch.
    """

    __slots__ = ("_before", "_kept")

    def __init__(self, kept: Bearings | None) -> None:
        self._kept = kept
        self._before: Token[Bearings | None] | None = None

    def __enter__(self) -> Self:
        self._before = _current.set(self._kept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            _current.reset(self._before)


def working_on(*, traceparent: str, delivery: UUID | None = None) -> following:
    """Do what is inside for a delivery, or for a message that one caused."""
    return following(Bearings(traceparent=traceparent, delivery=delivery))


def arrive(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Begin a request that came with these headers, to the end of the running task.

    The server has a task for each, and says in it what went wrong when all of ours is over.
    """
    # Not a secret: it only has to differ.
    _current.set(Bearings(random.getrandbits(64), headers))


def begin_trace(traceparent: str) -> None:
    """Name the trace that begins with the current request; its sender named none."""
    found = _current.get()
    if found is not None:
        found.traceparent = traceparent


def current() -> Bearings | None:
    """Return what is being worked on, for another task or thread to follow."""
    return _current.get()


def fields() -> dict[str, str]:
    """Return request_id, trace_id and delivery, as far as there are any."""
    found = _current.get()
    return {} if found is None else found.fields()


def traceparent_in(headers: Iterable[tuple[str, str]]) -> str:
    """Return the valid `traceparent` among headers (lower case); empty without exactly one."""
    found = [value for name, value in headers if name == "traceparent"]
    return found[0] if len(found) == 1 and _TRACEPARENT.fullmatch(found[0]) else ""

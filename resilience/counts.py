"""What one process counted since it last spoke to the observer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from resilience.protocol import Observer

Item = TypeVar("Item")


class Counts:
    """Successes and rejections, appended by any thread at the cost of one append."""

    __slots__ = ("_name", "_observer", "durations", "rejections")

    def __init__(self, *, name: str, observer: Observer) -> None:
        self._name = name
        self._observer = observer
        self.durations: deque[float] = deque()
        self.rejections: deque[None] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether there was no healthy or refused call since the last `flush`."""
        return not self.durations and not self.rejections

    def flush(self) -> None:
        """Hand everything to the observer."""
        seconds = _drained(self.durations)
        if seconds:
            self._observer.succeeded(name=self._name, seconds=seconds)
        rejected = len(_drained(self.rejections))
        if rejected:
            self._observer.rejected(name=self._name, count=rejected)


def _drained(items: deque[Item]) -> list[Item]:
    """Empty a deque to which other threads append."""
    drained: list[Item] = []
    try:
        while True:
            drained.append(items.popleft())
    except IndexError:
        return drained

"""Fixed windows that count requests, as the vendors publish their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one window says to one more request."""

    allowed: bool
    limit: int
    window_s: int
    remaining: int
    resets_at: float
    tier: str


@dataclass(slots=True, kw_only=True)
class Window:
    """At most `limit` requests for each key in every `window_s` seconds."""

    tier: str
    limit: int
    window_s: int
    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, key: str, *, now: datetime) -> Verdict:
        """Count a request; a refused one is not counted."""
        number = math.floor(now.timestamp() / self.window_s)
        start, used = self._counts.get(key, (number, 0))
        if start != number:
            used = 0
            # Keys of past windows are never asked for again.
            self._counts = {k: v for k, v in self._counts.items() if v[0] == number}
        allowed = used < self.limit
        used += allowed
        self._counts[key] = (number, used)
        return Verdict(
            allowed=allowed,
            limit=self.limit,
            window_s=self.window_s,
            remaining=self.limit - used,
            resets_at=float((number + 1) * self.window_s),
            tier=self.tier,
        )

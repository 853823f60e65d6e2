"""A circuit as people and probes look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resilience.states import Mode, State

if TYPE_CHECKING:
    from resilience.protocol import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of a circuit. ``retry_after`` is in seconds, 0 when calls pass.

    With ``store_up`` false this is what one process thinks while the shared store is away.
    """

    name: str
    state: State
    mode: Mode
    since: datetime
    mode_since: datetime
    retry_after: float
    failures: int
    failures_total: int
    opens: int
    epoch: int
    reason: str
    mode_reason: str
    store_up: bool

    @property
    def is_at_rest(self) -> bool:
        """Closed, and no operator has a hand in it."""
        return self.state is State.CLOSED and self.mode is Mode.AUTO

    @property
    def is_refusing(self) -> bool:
        """Calls are refused now."""
        if self.mode is Mode.AUTO:
            return self.state is State.OPEN
        return self.mode is Mode.FORCED_OPEN


def snapshot_of(
    *, name: str, view: View, retry_after: float, store_up: bool
) -> Snapshot:
    """Return the snapshot that a view stands for."""
    return Snapshot(
        name=name,
        state=view.state,
        mode=view.mode,
        since=at_utc(view.since_ms),
        mode_since=at_utc(view.mode_since_ms),
        retry_after=retry_after,
        failures=view.failures,
        failures_total=view.failures_total,
        opens=view.opens,
        epoch=view.epoch,
        reason=view.reason,
        mode_reason=view.mode_reason,
        store_up=store_up,
    )


def at_utc(milliseconds: int) -> datetime:
    """Return the aware time of a store's milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)

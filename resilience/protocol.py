"""What a breaker asks a store and what the store answers.

Stores work in whole milliseconds of their own clock. Nothing of that clock is compared
with a worker's: deadlines leave a store only as "so many milliseconds from now".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from resilience.states import Action, Mode, Outcome, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resilience.policy import BreakerPolicy

# Redis ids of the transition log start here; an empty log has nothing after it.
LOG_START = "0-0"
# How many transitions a store keeps for each circuit.
LOG_LENGTH = 1000


class Op(StrEnum):
    """One question to a store; each is answered in one atomic step."""

    VIEW = "view"
    ACQUIRE = "acquire"
    SETTLE = "settle"
    TRIP = "trip"
    OPERATE = "operate"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One question about one circuit.

    ``era`` is the era in which the call was admitted. ``tally`` counts successes since the
    last question, all of ``tally_era``. ``wait_ms`` overrides the computed wait when it is
    above 0. ``jitter`` (0 to 1000) shortens a wait by up to a tenth.
    """

    op: Op
    era: int = 0
    token: str = ""
    outcome: Outcome = Outcome.IGNORED
    tally: int = 0
    tally_era: int = 0
    wait_ms: int = 0
    jitter: int = 0
    action: Action = Action.AUTO
    mode: Mode = Mode.AUTO
    actor: str = ""
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A circuit as its store saw it at ``now_ms`` of the store's clock.

    ``retry_after_ms`` is the time left until a probe can be admitted (0: now, or closed).
    ``era`` is the epoch of the last change of state, ``epoch`` of the last change at all.
    """

    state: State
    mode: Mode
    era: int
    epoch: int
    failures: int
    successes: int
    opens: int
    failures_total: int
    retry_after_ms: int
    free_probes: int
    since_ms: int
    mode_since_ms: int
    now_ms: int
    reason: str
    mode_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a circuit, as it is logged and reported exactly once in the fleet."""

    breaker: str
    epoch: int
    at_ms: int
    old_state: State
    new_state: State
    old_mode: Mode
    new_mode: Mode
    cause: str
    actor: str
    reason: str
    failures: int
    wait_ms: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer. ``transition`` is set only for the caller that caused one."""

    view: View
    admitted: bool = False
    probe: bool = False
    dropped: bool = False
    created: bool = False
    lost: int = 0
    transition: Transition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A logged transition with its place in the log."""

    entry_id: str
    transition: Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One command for one circuit."""

    name: str
    policy: BreakerPolicy
    command: Command


class Store(Protocol):
    """Where circuits live. Every method may raise `StoreUnavailableError`."""

    def decide(self, *questions: Question) -> Sequence[Reply]:
        """Answer the questions in one round trip, each in one atomic step."""

    def log(self, *, name: str, after: str) -> Sequence[LogEntry]:
        """Return the logged transitions that follow the entry `after`, oldest first."""

    def last_entry(self, *, name: str) -> str:
        """Return the id of the newest log entry, or `LOG_START` for an empty log."""

    def names(self) -> Sequence[str]:
        """Return every circuit that the store has heard of, sorted."""

    def close(self) -> None:
        """Let go of connections; the store can still be used and opens them again."""


class Observer(Protocol):
    """Told what happened; must not raise and must not call the breaker back."""

    def succeeded(self, *, name: str, seconds: Sequence[float]) -> None:
        """Take the durations of successful calls."""

    def failed(self, *, name: str, seconds: float) -> None:
        """Take one failed call."""

    def ignored(self, *, name: str, seconds: float) -> None:
        """Take one call that said nothing about its dependency."""

    def rejected(self, *, name: str, count: int) -> None:
        """Take calls that were not made."""

    def probes_lost(self, *, name: str, count: int) -> None:
        """Take probes whose lease ran out."""

    def viewed(self, *, name: str, view: View) -> None:
        """Take a view that differs from the last one in state or mode."""

    def store_up(self, *, up: bool) -> None:
        """Take whether the shared store answers."""

    def transitioned(self, *, transition: Transition) -> None:
        """Take a transition that this process caused, exactly once and in order."""

"""The words of the breaker: what the machine decides, what operators lay over it."""

from __future__ import annotations

from enum import StrEnum

# The longest texts that a store and a row take.
NAME_LENGTH = 100
ACTOR_LENGTH = 150
REASON_LENGTH = 500


class State(StrEnum):
    """Decided by the machine alone."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Mode(StrEnum):
    """Laid over the state by an operator; leaving it returns to what the machine knows."""

    AUTO = "auto"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    OBSERVE = "observe"


class Outcome(StrEnum):
    """What one call said about its dependency. Ignored says nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


class Action(StrEnum):
    """What an operator can do to a circuit."""

    FORCE_OPEN = "force_open"
    DISABLE = "disable"
    OBSERVE = "observe"
    AUTO = "auto"
    RESET = "reset"


MODE_AFTER: dict[Action, Mode] = {
    Action.FORCE_OPEN: Mode.FORCED_OPEN,
    Action.DISABLE: Mode.DISABLED,
    Action.OBSERVE: Mode.OBSERVE,
    Action.AUTO: Mode.AUTO,
    Action.RESET: Mode.AUTO,
}

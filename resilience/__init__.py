"""A circuit breaker for a whole fleet of processes, trusted by operators.

Use: ``with get_breaker("kafka"): send()``. The README shows the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resilience.breaker import CircuitBreaker
from resilience.errors import (
    CircuitBreakerOpen,
    PolicyError,
    ResilienceError,
    StoreUnavailableError,
)
from resilience.permit import Permit
from resilience.policy import BreakerPolicy
from resilience.registry import all_breakers, get_breaker
from resilience.snapshot import Snapshot
from resilience.states import Action, Mode, State

if TYPE_CHECKING:
    from resilience.control import (
        apply_operator_modes,
        auto,
        disable,
        force_open,
        observe,
        reset,
    )
    from resilience.history import backfill_transitions

__all__ = [
    "Action",
    "BreakerPolicy",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "Mode",
    "Permit",
    "PolicyError",
    "ResilienceError",
    "Snapshot",
    "State",
    "StoreUnavailableError",
    "all_breakers",
    "apply_operator_modes",
    "auto",
    "backfill_transitions",
    "disable",
    "force_open",
    "get_breaker",
    "observe",
    "reset",
]


def __getattr__(name: str) -> Any:
    """Load what needs the models only when it is asked for: this package is an app."""
    if name in __all__:
        # Not at the top: models cannot be imported while Django loads its apps.
        from resilience import control, history  # noqa: PLC0415

        module = history if name == "backfill_transitions" else control
        return getattr(module, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)

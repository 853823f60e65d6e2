"""A circuit breaker for a whole fleet of processes, trusted by operators.

Use: ``with get_breaker("kafka"): send()``. The README shows the rest.
"""

from __future__ import annotations

from resilience.breaker import CircuitBreaker
from resilience.errors import (
    CircuitBreakerOpen,
    PolicyError,
    StoreUnavailableError,
)
from resilience.permit import Permit
from resilience.policy import BreakerPolicy
from resilience.registry import all_breakers, get_breaker
from resilience.snapshot import Snapshot
from resilience.states import Action, Mode, State

__all__ = [
    "Action",
    "BreakerPolicy",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "Mode",
    "Permit",
    "PolicyError",
    "Snapshot",
    "State",
    "StoreUnavailableError",
    "all_breakers",
    "get_breaker",
]

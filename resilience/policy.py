"""How one circuit judges its calls: frozen, and validated when it is made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

from resilience.errors import CircuitBreakerOpen, PolicyError
from resilience.states import Mode, Outcome

logger = logging.getLogger(__name__)

# An exception class, or a function that recognises an exception.
Rule = type[BaseException] | Callable[[BaseException], bool]

LEASE_FACTOR = 1.5
LEASE_FLOOR = 10.0
COUNTS = (
    "failure_threshold",
    "minimum_calls",
    "half_open_probes",
    "success_threshold",
)
WINDOW_BUCKETS = 10
# A year: nobody means more, and every clock and column can hold it.
LONGEST_SECONDS = 31_536_000
_CELERY_CONTROL = frozenset({"Ignore", "Reject", "Retry"})


def is_control_flow(exc: BaseException) -> bool:
    """Whether an exception only steers: a rejection by another circuit, Celery's own.

    Celery's are recognised by name, so that this package does not import Celery.
    """
    if isinstance(exc, CircuitBreakerOpen):
        return True
    return any(
        kind.__module__ == "celery.exceptions" and kind.__name__ in _CELERY_CONTROL
        for kind in type(exc).__mro__
    )


def is_soft_time_limit(exc: BaseException) -> bool:
    """Whether Celery asked the task to stop; that blames the call only when it was late."""
    return any(
        kind.__module__ in {"billiard.exceptions", "celery.exceptions"}
        and kind.__name__ == "SoftTimeLimitExceeded"
        for kind in type(exc).__mro__
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When one circuit opens, how long it stays open, and what closes it again.

    Times are in seconds. With ``failure_rate`` set the circuit trips by the share of
    failed calls in ``window``; without it by ``failure_threshold`` failures in a row.
    ``record_at_once=False`` leaves the history row of a transition to the sweep: for the
    circuit of the database itself, which could not be written then.
    """

    failure_threshold: int = 5
    failure_rate: float | None = None
    minimum_calls: int = 10
    window: float = 30.0
    slow_call_seconds: float | None = None

    recovery_timeout: float = 60.0
    recovery_cap: float = 600.0
    half_open_probes: int = 1
    success_threshold: int = 2
    call_timeout: float = 10.0
    lease_seconds: float | None = None

    ignore: tuple[Rule, ...] = ()
    success: tuple[Rule, ...] = ()
    late_only: tuple[Rule, ...] = (is_soft_time_limit,)

    initial_mode: Mode = Mode.AUTO
    record_at_once: bool = True
    view_ttl: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in COUNTS:
            _require_count(name, getattr(self, name))
        for name in ("window", "recovery_timeout", "recovery_cap", "call_timeout"):
            _require_seconds(name, getattr(self, name))
        _require_seconds("view_ttl", self.view_ttl)
        for name in ("slow_call_seconds", "lease_seconds"):
            if getattr(self, name) is not None:
                _require_seconds(name, getattr(self, name))
        self._check_rate()
        self._check_relations()
        for name in ("ignore", "success", "late_only"):
            _require_rules(name, getattr(self, name))

    def _check_rate(self) -> None:
        rate: object = self.failure_rate
        if rate is None:
            return
        is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not is_number or not 0 < rate <= 1:  # type: ignore[operator]
            msg = f"failure_rate must be above 0 and at most 1, not {rate!r}."
            raise PolicyError(msg)

    def _check_relations(self) -> None:
        if self.recovery_cap < self.recovery_timeout:
            msg = (
                f"recovery_cap ({self.recovery_cap:g}) must not be "
                f"below recovery_timeout ({self.recovery_timeout:g})."
            )
            raise PolicyError(msg)
        if self.lease < self.call_timeout:
            msg = (
                f"lease_seconds ({self.lease_seconds:g}) must not be below "
                f"call_timeout ({self.call_timeout:g}): a probe may take that long."
            )
            raise PolicyError(msg)
        if self.view_ttl > 1:
            msg = f"view_ttl must be at most 1 second, not {self.view_ttl:g}."
            raise PolicyError(msg)
        mode: object = self.initial_mode
        at_once: object = self.record_at_once
        if not isinstance(at_once, bool):
            msg = f"record_at_once must be true or false, not {at_once!r}."
            raise PolicyError(msg)
        if not isinstance(mode, Mode):
            msg = f"initial_mode must be a Mode, not {mode!r}."
            raise PolicyError(msg)

    @property
    def by_rate(self) -> bool:
        """Whether the circuit trips by the share of failures."""
        return self.failure_rate is not None

    @property
    def lease(self) -> float:
        """Seconds that a probe may take before its slot is given to another."""
        if self.lease_seconds is not None:
            return self.lease_seconds
        return max(LEASE_FLOOR, LEASE_FACTOR * self.call_timeout)

    def judge(self, exc: BaseException | None, *, elapsed: float) -> Outcome:
        """Return what a call that took `elapsed` seconds says about its dependency."""
        if exc is None:
            slow = self.slow_call_seconds
            is_slow = slow is not None and elapsed > slow
            return Outcome.FAILURE if is_slow else Outcome.SUCCESS
        if not isinstance(exc, Exception) or is_control_flow(exc):
            return Outcome.IGNORED
        if _matches(self.late_only, exc):
            is_late = elapsed >= self.call_timeout
            return Outcome.FAILURE if is_late else Outcome.IGNORED
        if _matches(self.ignore, exc):
            return Outcome.IGNORED
        if _matches(self.success, exc):
            return Outcome.SUCCESS
        return Outcome.FAILURE


FIELD_NAMES = frozenset(field.name for field in fields(BreakerPolicy))


def _matches(rules: tuple[Rule, ...], exc: BaseException) -> bool:
    return any(_applies(rule, exc) for rule in rules)


def _applies(rule: Rule, exc: BaseException) -> bool:
    if isinstance(rule, type):
        return isinstance(exc, rule)
    try:
        return bool(rule(exc))
    # A rule is foreign code; its own fault must not replace the caller's exception.
    except Exception:
        logger.warning(
            "breaker.rule_failed",
            extra={"rule": repr(rule), "error": type(exc).__name__},
            exc_info=True,
        )
        return False


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{name} must be a whole number of at least 1, not {value!r}."
        raise PolicyError(msg)


def _require_seconds(name: str, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= LONGEST_SECONDS:  # type: ignore[operator]
        msg = (
            f"{name} must be a number of seconds above 0 and at most a year, "
            f"not {value!r}."
        )
        raise PolicyError(msg)


def _require_rules(name: str, rules: object) -> None:
    if not isinstance(rules, tuple):
        msg = f"{name} must be a tuple of exception classes or functions."
        raise PolicyError(msg)
    for rule in rules:
        is_class = isinstance(rule, type) and issubclass(rule, BaseException)
        if not is_class and (isinstance(rule, type) or not callable(rule)):
            msg = f"{name} holds {rule!r}, which is no exception class or function."
            raise PolicyError(msg)

"""What Prometheus is told about circuits."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from resilience.signals import transitioned
from resilience.states import Mode, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import Metric

    from resilience.protocol import Transition, View

logger = logging.getLogger(__name__)

STATE_NUMBERS = {State.CLOSED: 0, State.OPEN: 1, State.HALF_OPEN: 2}
MODE_NUMBERS = {Mode.AUTO: 0, Mode.FORCED_OPEN: 1, Mode.DISABLED: 2, Mode.OBSERVE: 3}
# From a quick local reply to a vendor that keeps us waiting.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)


class Meters:
    """The metrics of one prefix. Make it once: Prometheus refuses a second set."""

    def __init__(self, *, prefix: str) -> None:
        self.state = Gauge(
            f"{prefix}state",
            "State by the newest view: 0 closed, 1 open, 2 half open",
            ["breaker"],
            multiprocess_mode="mostrecent",
        )
        self.mode = Gauge(
            f"{prefix}mode",
            "Operator mode: 0 auto, 1 forced open, 2 disabled, 3 observe",
            ["breaker"],
            multiprocess_mode="mostrecent",
        )
        self.calls = Counter(
            f"{prefix}calls_total", "Guarded calls", ["breaker", "outcome"]
        )
        self.transitions = Counter(
            f"{prefix}transitions_total",
            "Changes of state, counted once in the fleet",
            ["breaker", "old", "new"],
        )
        self.lost = Counter(
            f"{prefix}probes_lost_total", "Probes whose lease ran out", ["breaker"]
        )
        self.up = Gauge(
            f"{prefix}store_up",
            "Whether the shared store answers (1) or processes stand alone (0)",
            # Set with every answer, so the newest one is true; a minimum would keep the
            # word of a process that died while the store was away.
            multiprocess_mode="mostrecent",
        )
        self.seconds = Histogram(
            f"{prefix}call_seconds",
            "Duration of guarded calls that were made",
            ["breaker"],
            buckets=SECONDS,
        )


class FlushingCollector(Collector):
    """Gives no metric of its own: makes circuits hand in their counts before a scrape."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush

    def collect(self) -> Iterable[Metric]:
        """Have every circuit of this process hand in its counts."""
        self._flush()
        return ()


@lru_cache
def meters(prefix: str) -> Meters:
    """Return the metrics of a prefix."""
    return Meters(prefix=prefix)


class MeteringObserver:
    """Feeds the metrics, and passes transitions on as a signal."""

    def __init__(self, *, prefix: str) -> None:
        self._meters = meters(prefix)

    def succeeded(self, *, name: str, seconds: Sequence[float]) -> None:
        """Take the durations of successful calls."""
        self._meters.calls.labels(name, "success").inc(len(seconds))
        histogram = self._meters.seconds.labels(name)
        for value in seconds:
            histogram.observe(value)

    def failed(self, *, name: str, seconds: float) -> None:
        """Take one failed call."""
        self._meters.calls.labels(name, "failure").inc()
        self._meters.seconds.labels(name).observe(seconds)

    def ignored(self, *, name: str, seconds: float) -> None:
        """Take one call that said nothing about its dependency."""
        self._meters.calls.labels(name, "ignored").inc()
        self._meters.seconds.labels(name).observe(seconds)

    def rejected(self, *, name: str, count: int) -> None:
        """Take calls that were not made."""
        self._meters.calls.labels(name, "rejected").inc(count)

    def probes_lost(self, *, name: str, count: int) -> None:
        """Take probes whose lease ran out."""
        self._meters.lost.labels(name).inc(count)

    def viewed(self, *, name: str, view: View) -> None:
        """Take a view that differs from the last one in state or mode."""
        self._meters.state.labels(name).set(STATE_NUMBERS[view.state])
        self._meters.mode.labels(name).set(MODE_NUMBERS[view.mode])

    def store_up(self, *, up: bool) -> None:
        """Take whether the shared store answers."""
        self._meters.up.set(1 if up else 0)

    def transitioned(self, *, transition: Transition) -> None:
        """Count a transition, log it and tell the receivers of the signal."""
        old, new = str(transition.old_state), str(transition.new_state)
        if old != new:
            self._meters.transitions.labels(transition.breaker, old, new).inc()
        logger.warning(
            "breaker.transition",
            extra={
                "breaker": transition.breaker,
                "epoch": transition.epoch,
                "old": old,
                "new": new,
                "mode": str(transition.new_mode),
                "cause": transition.cause,
                "actor": transition.actor,
            },
        )
        answers = transitioned.send_robust(
            sender=type(transition), transition=transition
        )
        for receiver, answer in answers:
            if isinstance(answer, Exception):
                logger.error(
                    "breaker.receiver_failed",
                    extra={
                        "breaker": transition.breaker,
                        "receiver": repr(receiver),
                        "error": type(answer).__name__,
                    },
                )

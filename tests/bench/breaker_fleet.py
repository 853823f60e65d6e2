"""Eight busy processes on one circuit: what they saw must be what the store counted."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.policy import BreakerPolicy
from resilience.protocol import Transition, View
from resilience.storage.redis import RedisStore

NAME = "fleet"
PREFIX = "bench"
# Every tenth call fails, in bursts of ten that trip the circuit now and then.
BURST = 10
EVERY = 100


class BoomError(Exception):
    """The dependency failed."""


class Notes:
    """What one process was told."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.transitions: list[Transition] = []
        self.was_alone = False

    def succeeded(self, *, name: str, seconds: Sequence[float]) -> None:
        self.outcomes["success"] += len(seconds)

    def failed(self, *, name: str, seconds: float) -> None:
        self.outcomes["failure"] += 1

    def ignored(self, *, name: str, seconds: float) -> None:
        self.outcomes["ignored"] += 1

    def rejected(self, *, name: str, count: int) -> None:
        self.outcomes["rejected"] += count

    def probes_lost(self, *, name: str, count: int) -> None:
        self.outcomes["lost"] += count

    def viewed(self, *, name: str, view: View) -> None:
        """Nothing to note."""

    def store_up(self, *, up: bool) -> None:
        self.was_alone |= not up

    def transitioned(self, *, transition: Transition) -> None:
        self.transitions.append(transition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """What the processes saw, beside what the store holds."""

    processes: int
    calls: int
    seconds: float
    outcomes: Counter[str]
    raised: int
    counted: int
    told: list[Transition]
    logged: int
    ever_alone: bool

    @property
    def chain_holds(self) -> bool:
        """Whether each transition goes on where the one before it ended."""
        ordered = sorted(self.told, key=lambda transition: transition.epoch)
        return all(
            after.old_state == before.new_state and after.epoch > before.epoch
            for before, after in itertools.pairwise(ordered)
        )

    @property
    def is_exact(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        made = sum(self.outcomes[kind] for kind in ("success", "failure", "rejected"))
        return (
            self.chain_holds
            and not self.ever_alone
            and made == self.processes * self.calls
            and self.raised == self.outcomes["failure"] == self.counted
            and len(self.told) == self.logged
        )

    def lines(self) -> list[str]:
        """Return the tale for people."""
        openings = sum(t.new_state == "open" for t in self.told)
        rate = self.processes * self.calls / self.seconds
        return [
            f"{dict(sorted(self.outcomes.items()))}, {rate:,.0f} calls a second",
            f"failures raised {self.raised}, counted by the store {self.counted}",
            f"transitions told {len(self.told)} ({openings} openings), logged "
            f"{self.logged}, unbroken chain: {self.chain_holds}",
            f"exact: {self.is_exact}",
        ]


def run_fleet(url: str, *, processes: int, calls: int) -> Tale:
    """Let the processes run against one circuit and compare."""
    context = multiprocessing.get_context("spawn")
    started = time.monotonic()
    with context.Pool(processes) as pool:
        found = pool.starmap(
            _work, [(url, calls, number) for number in range(processes)], chunksize=1
        )
    seconds = time.monotonic() - started
    client = redis.Redis.from_url(url, decode_responses=True)
    stream: Any = client.xinfo_stream(f"{PREFIX}:{{{NAME}}}:log")
    counted: Any = client.hget(f"{PREFIX}:{{{NAME}}}", "failures_total")
    return Tale(
        processes=processes,
        calls=calls,
        seconds=seconds,
        outcomes=sum((notes.outcomes for notes, _ in found), Counter()),
        raised=sum(raised for _, raised in found),
        counted=int(counted),
        told=[t for notes, _ in found for t in notes.transitions],
        logged=int(stream["entries-added"]),
        ever_alone=any(notes.was_alone for notes, _ in found),
    )


def _work(url: str, calls: int, number: int) -> tuple[Notes, int]:
    notes = Notes()
    breaker = CircuitBreaker(
        name=NAME,
        policy=BreakerPolicy(
            failure_threshold=25,
            recovery_timeout=0.2,
            recovery_cap=0.4,
            success_threshold=1,
        ),
        # Long, so that a crowded machine is not taken for a lost Redis.
        store=RedisStore(url=url, key_prefix=PREFIX, timeout=5.0, clock=time.monotonic),
        observer=notes,
        clock=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
    )
    raised = 0

    def guarded(turn: int) -> None:
        nonlocal raised
        if turn % EVERY < BURST:
            raised += 1
            raise BoomError

    for turn in range(number, number + calls):
        try:
            breaker.call(guarded, turn)
        except BoomError:
            pass
        except CircuitBreakerOpen:
            # A caller that is refused does something else for a moment.
            time.sleep(0.0001)
    breaker.flush()
    return notes, raised

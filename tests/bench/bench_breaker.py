"""What a guarded call costs, beside pybreaker in the same run; and eight busy processes.

    python -m tests.bench.bench_breaker [--calls 20000] [--rounds 10] [--fleet-calls 100000]

Starts a Redis-compatible server of its own on 127.0.0.1 and stops it. All kinds of call
take turns in every round, so that what else the machine does hits them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

import pybreaker
import redis

from auren.devstack.valkey import EmbeddedValkey
from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.metrics import MeteringObserver
from resilience.policy import BreakerPolicy
from resilience.protocol import Store
from resilience.storage.memory import MemoryStore
from resilience.storage.redis import RedisStore
from tests.bench.breaker_fleet import Tale, run_fleet

NEVER = 10**9
FAILURES = 300
HEALTHY_SECONDS = 5.0
TARGETS = {
    "ours, Redis: call()": 3.0,
    "ours, Redis: rejected": 4.0,
}


class BoomError(Exception):
    """The dependency failed."""


def bare() -> None:
    """Stand for the dependency's client."""


def boom() -> None:
    """Stand for a dependency that fails."""
    raise BoomError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one kind of call cost, in microseconds."""

    name: str
    median: float
    mean: float
    p99: float


def main(*, arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--fleet-calls", type=int, default=100_000)
    options = parser.parse_args(arguments)
    logging.getLogger("resilience").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory(prefix="bench-breaker-") as folder:
        server = EmbeddedValkey(data_dir=Path(folder)).start()
        try:
            _print_calls(server.url, calls=options.calls, rounds=options.rounds)
            _print_trips(server.url)
            _print_fleet(
                run_fleet(
                    server.url,
                    processes=options.processes,
                    calls=options.fleet_calls,
                )
            )
        finally:
            server.stop()


def _print_calls(url: str, *, calls: int, rounds: int) -> None:
    rows = _measured(_kinds(url), calls=calls, rounds=rounds)
    empty = rows[0]
    _say(f"One guarded call, us; {rounds} rounds of {calls} calls, timed one by one.")
    _say("'over bare' is the median without the bare call and the timing itself.")
    _say(f"{'':<30} {'over bare':>9} {'median':>8} {'mean':>8} {'p99':>8}  target")
    for row in rows:
        target = TARGETS.get(row.name)
        over = row.median - empty.median
        verdict = ""
        if target is not None:
            verdict = f"<= {target:g} {'met' if over <= target else 'MISSED'}"
        _say(
            f"{row.name:<30} {over:>9.2f} {row.median:>8.2f} {row.mean:>8.2f}"
            f" {row.p99:>8.2f}  {verdict}"
        )
    _say("")


def _kinds(url: str) -> dict[str, tuple[Callable[[], None], int]]:
    """Return each kind of call, with how many to one of the cheap ones."""
    memory, shared = (
        {
            kind: _ours(store, name=f"{kind}", threshold=threshold)
            for kind, threshold in (("closed", 5), ("open", 1), ("failing", NEVER))
        }
        for store in (_memory(), _redis(url))
    )
    rivals = {
        kind: pybreaker.CircuitBreaker(
            fail_max=threshold,
            reset_timeout=3600,
            throw_new_error_on_trip=False,
            state_storage=storage,
        )
        for kind, threshold, storage in (
            ("memory", 5, pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)),
            ("redis", 5, _rival_storage(url, "closed")),
            ("memory open", 1, pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)),
            ("redis open", 1, _rival_storage(url, "open")),
            ("redis failing", NEVER, _rival_storage(url, "failing")),
        )
    }
    for breaker in (memory["open"], shared["open"]):
        breaker.trip()
    for kind in ("memory open", "redis open"):
        _quietly(rivals[kind].call, BoomError, boom)()
    decorated = shared["closed"](bare)

    def block() -> None:
        with shared["closed"]:
            bare()

    few = 50
    return {
        "bare call": (bare, 1),
        "ours, memory: call()": (lambda: memory["closed"].call(bare), 1),
        "ours, Redis: call()": (lambda: shared["closed"].call(bare), 1),
        "ours, Redis: decorated": (decorated, 1),
        "ours, Redis: with": (block, 1),
        "pybreaker, memory": (lambda: rivals["memory"].call(bare), 1),
        "pybreaker, Redis": (lambda: rivals["redis"].call(bare), few),
        "ours, memory: rejected": (
            _quietly(memory["open"].call, CircuitBreakerOpen, bare),
            1,
        ),
        "ours, Redis: rejected": (
            _quietly(shared["open"].call, CircuitBreakerOpen, bare),
            1,
        ),
        "pybreaker, memory: rejected": (
            _quietly(rivals["memory open"].call, pybreaker.CircuitBreakerError, bare),
            1,
        ),
        "pybreaker, Redis: rejected": (
            _quietly(rivals["redis open"].call, pybreaker.CircuitBreakerError, bare),
            few,
        ),
        "ours, Redis: failure": (
            _quietly(shared["failing"].call, BoomError, boom),
            few,
        ),
        "pybreaker, Redis: failure": (
            _quietly(rivals["redis failing"].call, BoomError, boom),
            few,
        ),
    }


def _measured(
    kinds: dict[str, tuple[Callable[[], None], int]], *, calls: int, rounds: int
) -> list[Row]:
    times: dict[str, list[int]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, (call, share) in kinds.items():
            times[name] += _timed(call, count=max(1, calls // share))
    return [
        Row(
            name=name,
            median=median(taken) / 1000,
            mean=fmean(taken) / 1000,
            p99=quantiles(taken, n=100)[98] / 1000,
        )
        for name, taken in times.items()
    ]


def _timed(call: Callable[[], None], *, count: int) -> list[int]:
    clock = time.perf_counter_ns
    call()
    taken = []
    for _ in range(count):
        started = clock()
        call()
        taken.append(clock() - started)
    return taken


def _quietly(
    call: Callable[..., Any], expected: type[Exception], function: Callable[[], None]
) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(expected):
            call(function)

    return run


def _print_trips(url: str) -> None:
    client = redis.Redis.from_url(url)
    circle: list[CircuitBreaker] = []
    store = _redis(url)
    circle += [
        _ours(store, name=f"peer{n}", threshold=5, peers=lambda: circle)
        for n in range(6)
    ]
    for used in (circle[:1], circle):
        for breaker in used:
            breaker.call(bare)
        before, started = _round_trips(client), time.monotonic()
        while (elapsed := time.monotonic() - started) < HEALTHY_SECONDS:
            for breaker in used:
                breaker.call(bare)
        # The last look is itself one.
        rate = (_round_trips(client) - before - 1) / elapsed
        _say(
            f"Healthy, {len(used)} circuit(s) in one process: {rate:.1f} round trips a "
            f"second (target <= 4)"
        )
    failing = _ours(store, name="failing", threshold=NEVER)
    failing.call(bare)
    before = _round_trips(client)
    for _ in range(FAILURES):
        _quietly(failing.call, BoomError, boom)()
    each = (_round_trips(client) - before - 1) / FAILURES
    _say(f"A reported failure: {each:.2f} round trips (target <= 1)")
    asyncio.run(_print_async(_ours(store, name="async", threshold=5)))
    _say("")


async def _print_async(breaker: CircuitBreaker) -> None:
    taken = []
    for _ in range(20_000):
        started = time.perf_counter_ns()
        async with breaker:
            pass
        taken.append(time.perf_counter_ns() - started)
    _say(f"async with, Redis: {median(taken) / 1000:.2f} us median")


def _round_trips(client: redis.Redis) -> int:
    """Return how many scripts the server was asked to run; pipelined ones count once."""
    stats: Any = client.info("stats")
    return int(stats["total_reads_processed"])


def _print_fleet(tale: Tale) -> None:
    _say(f"{tale.processes} processes x {tale.calls} calls in {tale.seconds:.1f} s:")
    for line in tale.lines():
        _say(f"  {line}")
    if not tale.is_exact:
        raise SystemExit(1)


def _ours(store: Store, *, name: str, threshold: int, **more: Any) -> CircuitBreaker:
    return CircuitBreaker(
        name=name,
        policy=BreakerPolicy(
            failure_threshold=threshold, recovery_timeout=3600, recovery_cap=3600
        ),
        store=store,
        observer=MeteringObserver(prefix="bench_circuit_"),
        clock=time.monotonic,
        wall_ms=_wall_ms,
        **more,
    )


def _memory() -> MemoryStore:
    return MemoryStore(now_ms=_wall_ms)


def _redis(url: str) -> RedisStore:
    return RedisStore(url=url, key_prefix="bench", timeout=0.25, clock=time.monotonic)


def _rival_storage(url: str, name: str) -> pybreaker.CircuitRedisStorage:
    return pybreaker.CircuitRedisStorage(
        pybreaker.STATE_CLOSED, redis.Redis.from_url(url), namespace=name
    )


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()

"""Draining a backlog, latency, and whether history costs anything.

    python -m tests.bench.bench_drain [--backlog 50000] [--history 1000000] [--write]

Real PostgreSQL (fsync and synchronous_commit on), Valkey and Kafka; web, beat and one
Celery worker with two processes, all on this machine beside the benchmark.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

from tests.bench.bench_latency import DurableStack, measure, warm  # noqa: E402
from tests.bench.drain import plain  # noqa: E402
from tests.bench.drain.backlog import age, fill  # noqa: E402
from tests.bench.paced.load import Spread  # noqa: E402
from tests.bench.report import machine, put_section  # noqa: E402
from tests.e2e.bodies import terra_sleep  # noqa: E402

_LONG_S = 1800
_RATE = 20
_TIMED_S = 30
_WAITING = 100_000

# Only what came after an id: a count over a million old rows, asked twenty times a
# second, would be the dearest query of the run.
_DONE = """
SELECT count(*) FROM biometrics_outboxmessage WHERE id > {after} AND status = 'published'
"""
_LAST = "SELECT coalesce(max(id), 0) FROM biometrics_outboxmessage"
# Messages that the bridge made of nights, under ids of their own.
_COPIES = """
INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic, event_type, headers,
    value, priority, status, probe, attempts, error, created_at)
SELECT id, shard, subject, topic, event_type,
    jsonb_set(headers, '{ce_id}', to_jsonb(id::text)), value, 0, 'pending', false, 0, '',
    now()
FROM (SELECT m.*, gen_random_uuid() AS id
      FROM (SELECT shard, subject, topic, event_type, headers, value
            FROM biometrics_outboxmessage
            WHERE status = 'published' AND value IS NOT NULL AND priority = 0
            ORDER BY biometrics_outboxmessage.id DESC LIMIT 5000) m,
          generate_series(1, 200) again LIMIT %s) copies
"""


class DrainStack(DurableStack):
    """One worker with two processes, on a database that survives a power cut."""

    worker_children = 2

    def count(self, query: str) -> int:
        return int(self.sql(query)[0][0])


@dataclass(slots=True, kw_only=True)
class Drained:
    """Events/s of each part of the flow."""

    steps_5_to_8: float = 0.0
    steps_5_to_7: float = 0.0
    step_8: float = 0.0


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything that the section tells."""

    backlog: int
    history: int
    fresh: list[Drained] = field(default_factory=list)
    aged: list[Drained] = field(default_factory=list)
    plain_acks: list[float] = field(default_factory=list)
    plain_transactions: list[float] = field(default_factory=list)
    latency: Spread | None = None
    latency_aged: Spread | None = None
    urgent_s: float = 0.0


def drain(stack: DrainStack, *, backlog: int, seed: int) -> Drained:
    """Drain two backlogs: all steps at once, then step 8 held back and let go."""
    found = Drained()
    stack.processes["worker"].stop()
    after = stack.count(_LAST)
    fill(stack.postgres.url, count=backlog, seed=seed)
    stack.start_worker()
    found.steps_5_to_8 = published_per_s(stack, backlog, after=after)
    _breaker(stack, "open")
    after = stack.count(_LAST)
    fill(stack.postgres.url, count=backlog, seed=seed + 1000)
    started = time.monotonic()
    waiting = "SELECT count(*) FROM biometrics_webhookdelivery WHERE status = 'pending'"
    stack.until(lambda: not stack.count(waiting), "all are understood", seconds=_LONG_S)
    found.steps_5_to_7 = backlog / (time.monotonic() - started)
    _breaker(stack, "auto")
    found.step_8 = published_per_s(stack, backlog, after=after)
    return found


def published_per_s(stack: DrainStack, backlog: int, *, after: int) -> float:
    """Time the middle nine tenths: neither the start nor the last stragglers.

    Messages up to the id `after` do not count.
    """
    stamps: list[tuple[float, int]] = []

    def enough() -> bool:
        stamps.append((time.monotonic(), stack.count(_DONE.format(after=after))))
        return stamps[-1][1] >= backlog

    stack.until(enough, "the backlog is published", seconds=_LONG_S)
    first = next(stamp for stamp in stamps if stamp[1] >= backlog * 0.05)
    last = next(stamp for stamp in stamps if stamp[1] >= backlog * 0.95)
    return (last[1] - first[1]) / max(last[0] - first[0], 1e-9)


def _breaker(stack: DrainStack, verb: str) -> None:
    stack.manage("breaker", verb, "kafka", "--reason", "benchmark")


def beside(stack: DrainStack, results: Results) -> None:
    """Send the same bytes again by plain loops."""
    rows = stack.sql(
        "SELECT topic, subject::text, value, headers FROM biometrics_outboxmessage"
        " WHERE value IS NOT NULL ORDER BY id DESC LIMIT %s",
        results.backlog,
    )
    records = [
        (
            *(plain.TOPIC, key.encode(), bytes(value)),
            [(name, str(text).encode()) for name, text in headers.items()],
        )
        for _, key, value, headers in rows
    ]
    server = stack.kafka.bootstrap_servers
    plain.make_topic(server)
    results.plain_acks.append(plain.acks_all(server, records))
    results.plain_transactions.append(plain.transactions(server, records))


def latency(stack: DrainStack) -> Spread:
    """Send 20 deliveries a second and time each until a consumer has it."""
    warm(stack)
    return measure(stack, rate=_RATE, seconds=_TIMED_S).visible


def urgent(stack: DrainStack) -> float:
    """Return seconds from the relay's work until a new HIGH alert is on the topic."""
    _breaker(stack, "open")
    after = stack.count(_LAST)
    stack.sql(_COPIES, _WAITING)
    body = terra_sleep(user_id=str(uuid4()), rmssd=20)
    assert stack.deliver("terra", body).status == 200
    high = "SELECT count(*) FROM biometrics_outboxmessage WHERE priority = 2"
    stack.until(lambda: stack.count(f"{high} AND status = 'pending'") >= 2, "it waits")
    with stack.reader("biometric-alerts") as consumer:
        consumer.seek_to_end()
        for partition in consumer.assignment():
            consumer.position(partition)
        _breaker(stack, "auto")
        working = _DONE.format(after=after)
        stack.until(lambda: stack.count(working) > 0, "the relay works")
        started = time.monotonic()
        while not consumer.poll(timeout_ms=20):
            assert time.monotonic() < started + 120, "the alert did not come"
        took = time.monotonic() - started
    left = "SELECT count(*) FROM biometrics_outboxmessage WHERE status = 'pending'"
    stack.until(lambda: not stack.count(left), "the rest is published", seconds=_LONG_S)
    return took


def run(stack: DrainStack, *, results: Results, rounds: int) -> None:
    """Run everything on an empty database, then with history."""
    for number in range(rounds):
        results.fresh.append(drain(stack, backlog=results.backlog, seed=number))
        _say(f"  {results.fresh[-1]}")
        beside(stack, results)
        _say(f"  {results.plain_acks[-1]:.0f} {results.plain_transactions[-1]:.0f}")
    results.latency = latency(stack)
    _say(f"  {results.latency}")
    results.urgent_s = urgent(stack)
    _say(f"  HIGH alert over {_WAITING} waiting: {results.urgent_s:.2f} s")
    if results.history:
        age(stack.postgres.url, rows=results.history)
        for number in range(rounds):
            found = drain(stack, backlog=results.backlog, seed=100 + number)
            results.aged.append(found)
            _say(f"  aged {found}")
        results.latency_aged = latency(stack)
        _say(f"  aged {results.latency_aged}")


def section(results: Results) -> str:
    """Return the part of docs/benchmarks.md."""
    rows = [
        ("steps 5 to 8", [d.steps_5_to_8 for d in results.fresh], 5000),
        ("steps 5 to 7", [d.steps_5_to_7 for d in results.fresh], None),
        ("step 8 alone", [d.step_8 for d in results.fresh], 10_000),
        ("plain loop, acks all", results.plain_acks, None),
        ("plain loop, a transaction per 500", results.plain_transactions, None),
    ]
    if results.aged:
        rows += [
            (
                "steps 5 to 8, with history",
                [d.steps_5_to_8 for d in results.aged],
                None,
            ),
            ("step 8 alone, with history", [d.step_8 for d in results.aged], None),
        ]
    lines = [
        "## Drain",
        "",
        f"`make bench-drain`; {machine()}. PostgreSQL with `fsync` and"
        " `synchronous_commit` on, real Kafka, one worker `-c 2`, beat and web beside it."
        f" Backlog: {results.backlog:,} stored deliveries, half Terra, half Oura with"
        " its document, one event each."
        f" History: {results.history:,} old rows in each of the three big tables."
        f" Medians of {len(results.fresh)} runs (lowest to highest).",
        "",
        "| what | events/s | goal |",
        "|---|---|---|",
        *(
            f"| {name} | {median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})"
            f" | {'' if goal is None else f'{goal:,}'} |"
            for name, found, goal in rows
            if found
        ),
        "",
        f"A HIGH alert with {_WAITING:,} messages waiting was on its topic"
        f" {results.urgent_s:.2f} s after the relay began (goal 2 s).",
    ]
    for name, seen in (("", results.latency), (" with history", results.latency_aged)):
        if seen is not None:
            lines += [
                "",
                f"Webhook due to read_committed consumer at {_RATE}/s{name}"
                f" ({seen.count}): p50 {seen.p50:.0f} ms, p99 {seen.p99:.0f} ms"
                " (goals 150 and 500).",
            ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=50_000)
    parser.add_argument("--history", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put it into docs")
    given = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="auren-drain-"))
    home.chmod(0o711)
    stack = DrainStack(home / "stack")
    results = Results(backlog=given.backlog, history=given.history)
    try:
        stack.start()
        run(stack, results=results, rounds=given.rounds)
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    text = section(results)
    _say(text)
    if given.write:
        put_section("drain", text)
    return 0


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

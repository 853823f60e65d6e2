"""What a delivery costs on an empty database, and on one with years of history.

    python -m tests.bench.bench_growth [--rounds 5] [--count 1600] [--write]
        [--deliveries 1000000] [--messages 2000000] [--readings 10000000] [--people 10000]

Two databases of one PostgreSQL take turns. Counted is processor time, of our process and
of the server, which other load changes little. Kafka is one in memory: its cost does not
know what the database holds. Also writes docs/hot-queries.md: each query on the way of
the data with the indexes that the server uses on the grown database. Pages of staff on
the same history: `make bench-console`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

from auren.devstack.postgres import TemporaryPostgres  # noqa: E402
from tests.bench.growth import history  # noqa: E402
from tests.bench.growth.running import ROOT, Step, step  # noqa: E402
from tests.bench.report import machine, put_section  # noqa: E402
from tests.databases import migrate  # noqa: E402

_LIST = ROOT / "docs" / "hot-queries.md"
_STEPS = ("intake", "steps 5 to 7", "step 8")


def measure(
    postgres: TemporaryPostgres, given: argparse.Namespace
) -> dict[str, list[Step]]:
    """Fill one of two databases and carry deliveries through both by turns."""
    urls = {}
    for name in ("empty", "grown"):
        postgres.execute(f'CREATE DATABASE "{name}"')
        urls[name] = postgres.url_of(database=name)
        migrate(urls[name])
    history.store(
        urls["grown"],
        deliveries=given.deliveries,
        messages=given.messages,
        people=given.people,
        readings=given.readings,
    )
    found: dict[str, list[Step]] = defaultdict(list)
    for number in range(given.rounds):
        for name, url in urls.items():
            done = step(
                url,
                count=given.count,
                seed=10 * number,
                server=postgres.process.pid,
            )
            if done.left or done.messages < given.count:
                msg = f"{name}: {done.messages} messages, {done.left} were left"
                raise RuntimeError(msg)
            found[name].append(done)
            sys.stdout.write(f"{name} {done.own} {done.server}\n")
            sys.stdout.flush()
    return found


def section(found: dict[str, list[Step]], given: argparse.Namespace) -> str:
    """Return the part of docs/benchmarks.md."""
    lines = [
        "## Growth",
        "",
        f"`make bench-growth`; {machine()}. Processor time in microseconds of our process"
        " + of PostgreSQL, for one delivery (for one message at step 8), on an empty"
        f" database and on one with {given.deliveries:,} deliveries, {given.messages:,}"
        f" messages, {given.readings:,} readings and {given.people:,} people. Medians of"
        f" {given.rounds} runs of {given.count:,} deliveries that take turns. Goal: within"
        " 10 %. Queries and their indexes: [hot queries](hot-queries.md).",
        "",
        "| | empty | grown | grown / empty |",
        "|---|---|---|---|",
    ]
    for name in _STEPS:
        cells, sums = [name], []
        for kind in ("empty", "grown"):
            own = median(one.own[name] for one in found[kind])
            server = median(one.server[name] for one in found[kind])
            cells.append(f"{own:,.0f} + {server:,.0f}")
            sums.append(own + server)
        cells.append(f"{sums[1] / sums[0]:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def hot_queries(last: Step, given: argparse.Namespace) -> str:
    """Return docs/hot-queries.md."""
    lines = [
        "# Hot queries",
        "",
        "Made by `make bench-growth`: each different query on the way of the data, values"
        " left out, with the indexes in PostgreSQL's plan for it (EXPLAIN) on a database"
        f" with {given.deliveries:,} deliveries, {given.messages:,} messages and"
        f" {given.readings:,} readings. No query walks a table of more than 10,000 rows;"
        " `tests/pipeline/test_hot_queries.py` holds that on a smaller one. A query"
        " without an index inserts, or reads a small table (leases, tunings, parked"
        " queues).",
        "",
        "| where | query | indexes | cost |",
        "|---|---|---|---|",
    ]
    for plan in last.plans:
        text = plan.query if len(plan.query) <= 240 else f"{plan.query[:239]}…"
        shown = text.replace("biometrics_", "").replace("|", "\\|")
        indexes = ", ".join(f"`{name}`" for name in plan.indexes)
        lines.append(f"| {plan.place} | `{shown}` | {indexes} | {plan.cost:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1600)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="into docs")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="auren-growth-"))
    home.chmod(0o711)
    postgres = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    try:
        postgres.start()
        found = measure(postgres, given)
    finally:
        postgres.kill9()
        shutil.rmtree(home, ignore_errors=True)
    walking = found["grown"][-1].walking
    text = section(found, given)
    sys.stdout.write(f"{text}\n")
    for plan in walking:
        sys.stdout.write(f"walks {plan.walked}: {plan.query}\n")
    if given.write and not walking:
        put_section("growth", text)
        _LIST.write_text(hot_queries(found["grown"][-1], given))
    sys.exit(1 if walking else 0)


if __name__ == "__main__":
    main()

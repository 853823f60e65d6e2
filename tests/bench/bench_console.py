"""How long each page of the console takes over a million deliveries, and its queries.

    python -m tests.bench.bench_console [--deliveries 1000000] [--messages 2000000]
        [--people 10000] [--rounds 30] [--database postgres://…] [--write]

Real PostgreSQL and Valkey on this machine. Without `--database` a cluster is made and
filled (tests/bench/console/seed.py), which takes minutes. Time is the server's, from the
request to the whole answer, with every cache of the process emptied before each request.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.valkey import EmbeddedValkey
from tests.bench.console.seed import seed
from tests.bench.report import machine, put_section
from tests.databases import migrate

_MOST_MS = 150
_MOST_QUERIES = 20


def main(*, arguments: Sequence[str] | None = None) -> int:
    """Return 1 when a page is over one of the two limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--database", help="one that seed has filled")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="auren-console-") as home,
        ExitStack() as up,
    ):
        Path(home).chmod(0o711)
        valkey = EmbeddedValkey(data_dir=Path(home) / "valkey")
        valkey.start()
        up.callback(valkey.stop)
        url = asked.database or _filled(Path(home), asked, up)
        os.environ |= {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        text, is_well = _measured(asked)
    sys.stdout.write(text)
    if asked.write:
        put_section("console", text)
    return 0 if is_well else 1


def _filled(home: Path, asked: argparse.Namespace, up: ExitStack) -> str:
    server = TemporaryPostgres(data_dir=home / "postgres")
    server.start()
    up.callback(server.stop)
    migrate(server.url)
    seed(
        server.url,
        deliveries=asked.deliveries,
        messages=asked.messages,
        people=asked.people,
    )
    return server.url


def _measured(asked: argparse.Namespace) -> tuple[str, bool]:
    """Return the section of the documents, and whether all pages keep the limits."""
    import django  # noqa: PLC0415 - the settings come from what was started

    django.setup()
    from tests.bench.console.pages import measure  # noqa: PLC0415

    found = [
        page
        for page in measure(rounds=asked.rounds, only=asked.only)
        if page.ms or _say(f"not a page: {page.name}")
    ]
    is_well = all(
        page.p95 < _MOST_MS and page.queries <= _MOST_QUERIES for page in found
    )
    return _section(asked, found), is_well


def _section(asked: argparse.Namespace, found: Sequence[Any]) -> str:
    lines = [
        "## The console's pages",
        "",
        f"`make bench-console`; {machine()}. {asked.deliveries:,} deliveries,"
        f" {asked.messages:,} messages, {asked.people:,} people, 60 nights each, in"
        " PostgreSQL (`python -m tests.bench.console.seed`). The server's time for one"
        f" request, {asked.rounds} of each page, caches of the process emptied before"
        f" every one; asked: p95 below {_MOST_MS} ms, at most {_MOST_QUERIES} queries.",
        "",
        "| page | median, ms | p95, ms | of the median: own processor time | queries |",
        "|---|---|---|---|---|",
    ]
    for page in sorted(found, key=lambda page: -page.p95):
        mark = "" if page.p95 < _MOST_MS and page.queries <= _MOST_QUERIES else " !"
        lines.append(
            f"| {page.name}{mark} | {median(page.ms):.0f} | {page.p95:.0f} |"
            f" {median(page.own_ms):.0f} | {page.queries} |"
        )
    return "\n".join(lines) + "\n"


def _say(text: str) -> bool:
    sys.stderr.write(f"{text}\n")
    return False


if __name__ == "__main__":
    sys.exit(main())

"""From the moment a webhook is due to its record in a read_committed consumer.

    python -m tests.bench.bench_latency [--rounds 5] [--seconds 15] [--write]

Everything runs: web, four worker processes, beat, PostgreSQL with fsync, Redis, Kafka.
Each delivery is a night of a new person. Rates that two cores cannot carry are measured
too: there the time grows for as long as the load lasts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

from auren.devstack.postgres import TemporaryPostgres  # noqa: E402
from tests.bench.paced.load import Load, Spread, Watch  # noqa: E402
from tests.bench.report import machine, put_section  # noqa: E402
from tests.e2e.stack import Stack  # noqa: E402

RATES = (20, 200, 1000)
_GOALS = {200: "p99 < 500 ms"}
_LONGEST_S = 300.0
_WARM_RATE = 30
_WARM_S = 20.0


class DurableStack(Stack):
    """The whole bridge on a database that survives a power cut."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.postgres = TemporaryPostgres(data_dir=home / "postgres", fsync=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One round at one rate."""

    answered: Spread
    visible: Spread
    refused: int


def measure(stack: Stack, *, rate: int, seconds: float) -> Run:
    """Send at a rate, wait until all of it is on the topic."""
    watching = Watch(stack, seconds=_LONGEST_S)
    sent = Load(stack, rate=rate, seconds=seconds).finished()
    accepted = [one for one in sent if one.status == 200]
    seen = watching.seen(count=len(accepted))
    lost = [one.mark for one in accepted if one.mark not in seen]
    if lost:
        msg = f"{len(lost)} of {len(accepted)} did not come within {_LONGEST_S:.0f} s"
        raise RuntimeError(msg)
    return Run(
        answered=Spread.of([one.ms for one in accepted]),
        visible=Spread.of([1000 * (seen[one.mark] - one.due) for one in accepted]),
        refused=len(sent) - len(accepted),
    )


def warm(stack: Stack) -> None:
    """Give each process each shard once: its first turn there asks Kafka for progress."""
    measure(stack, rate=_WARM_RATE, seconds=_WARM_S)


def section(runs: dict[int, list[Run]], *, seconds: float) -> str:
    """Return the part of docs/benchmarks.md."""
    rounds = len(next(iter(runs.values())))
    lines = [
        "## End to end",
        "",
        f"`make bench-latency`; {machine()}. Web with two processes, four worker"
        " processes, beat, PostgreSQL with `fsync` and `synchronous_commit` on, real"
        " Redis and Kafka. Times from when a webhook was due, which its sender did not"
        " put off for slow answers, to its answer and to a read_committed consumer of"
        f" the topic. Medians of {rounds} runs of {seconds:g} s (lowest to highest).",
        "",
        "| deliveries/s | answered: p50 ms | p99 ms | visible: p50 ms | p99 ms | goal |",
        "|---|---|---|---|---|---|",
    ]
    for rate, found in runs.items():
        figures = [
            _spread([getattr(getattr(run, part), name) for run in found])
            for part in ("answered", "visible")
            for name in ("p50", "p99")
        ]
        cells = (f"{rate:,}", *figures, _GOALS.get(rate, ""))
        lines.append(f"| {' | '.join(cells)} |")
    refused = sum(run.refused for found in runs.values() for run in found)
    lines += [
        "",
        f"{refused} deliveries were not answered 2xx; every other one was seen.",
    ]
    return "\n".join(lines)


def _spread(figures: list[float]) -> str:
    return f"{median(figures):,.0f} ({min(figures):,.0f} to {max(figures):,.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="auren-latency-"))
    home.chmod(0o711)
    stack = DurableStack(home / "stack")
    runs: dict[int, list[Run]] = defaultdict(list)
    try:
        stack.start()
        warm(stack)
        for _ in range(given.rounds):
            for rate in RATES:
                runs[rate].append(measure(stack, rate=rate, seconds=given.seconds))
                sys.stdout.write(f"{rate:5} {runs[rate][-1]}\n")
                sys.stdout.flush()
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    text = section(runs, seconds=given.seconds)
    sys.stdout.write(f"{text}\n")
    if given.write:
        put_section("latency", text)


if __name__ == "__main__":
    main()

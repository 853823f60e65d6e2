"""What the live socket costs intake, and how late it is, while a burst comes in.

    python -m tests.bench.bench_live [--rounds 5] [--seconds 8] [--write]

Needs wrk and PostgreSQL. Rounds with and without the socket take turns. With it, a
process pushes as busy workers do, and a browser's part listens.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

from tests.bench.bench_intake import CASES, Bench, nothing, services
from tests.bench.intake.servers import Server, candidates
from tests.bench.live.watcher import Seen, watching
from tests.bench.report import machine, put_section

# One process: two share one listening socket unevenly, which moves the rate by half.
_ALONE = replace(candidates()[0], argv=(*candidates()[0].argv[:-1], "1"))
_MOST_COST = 0.03
_GOAL = 5000
_MOST_LATE_S = 1.0
_OFF, _ON = "socket off", "socket on"


def main(*, arguments: Sequence[str] | None = None) -> int:
    """Return 1 when the socket was late or cost too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    asked = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        parser.error("wrk is needed (Debian: apt install wrk).")
    seen = Seen()
    with services() as bench:

        @contextmanager
        def watched(server: Server) -> Iterator[None]:
            with watching(port=server.port, env=bench.environment(), seen=seen):
                yield

        for turn in range(asked.rounds):
            # Who is first changes, so that a machine that slows down harms both alike.
            for label in (_OFF, _ON) if turn % 2 == 0 else (_ON, _OFF):
                bench.measure(
                    CASES[0],
                    _ALONE,
                    seconds=asked.seconds,
                    label=label,
                    beside=watched if label == _ON else nothing,
                )
        text, is_well = report(bench, seen, rounds=asked.rounds, seconds=asked.seconds)
    sys.stdout.write(text)
    if asked.write:
        put_section("live", text)
    return 0 if is_well else 1


def report(
    bench: Bench, seen: Seen, *, rounds: int, seconds: float
) -> tuple[str, bool]:
    """Return the section of the documents, and whether both limits are kept."""
    rates = {
        label: [o.rate for o in bench.seen[label, "ours"]] for label in (_OFF, _ON)
    }
    cost = 1 - median(rates[_ON]) / median(rates[_OFF])
    own = {label: median(bench.processor[label, "ours"]) for label in rates}
    late, gap = max(seen.late_s), max(seen.gaps_s)
    lines = [
        "## The live socket in a burst",
        "",
        f"`make bench-live`; {machine()}. WHOOP webhooks as fast as one web process takes"
        " them (100 kept connections, each signed and unique, every 2xx found as a row);"
        " with the socket on, a process pushes as busy workers do and a client listens to"
        f" the same web process. {rounds} rounds of {seconds:g} s each, taking turns;"
        f" asked: no push later than {_MOST_LATE_S:g} s, cost below {_MOST_COST:.0%}.",
        "",
        "| | requests/s, median (lowest to highest) | server's processor time a request |",
        "|---|---|---|",
        *[
            f"| {label} | {median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})"
            f" | {own[label]:.0f} us |"
            for label, found in rates.items()
        ],
        "",
        f"Cost: {cost:+.1%} of the rate, {own[_ON] / own[_OFF] - 1:+.1%} of the processor"
        f" time. {len(seen.late_s)} pushes, {seen.lost} lost: from the begin of counting"
        f" until the client had it, median {1000 * median(seen.late_s):.0f} ms, at most"
        f" {1000 * late:.0f} ms; longest silence {1000 * gap:.0f} ms; largest push"
        f" {seen.largest:,} bytes. {_of_goal(median(rates[_ON]))}",
    ]
    is_well = cost < _MOST_COST and max(late, gap) <= _MOST_LATE_S and not seen.lost
    return "\n".join(lines) + "\n", is_well


def _of_goal(rate: float) -> str:
    if rate >= _GOAL:
        return ""
    return (
        f"{_GOAL:,} a second are more than one web process takes here; the socket's work"
        " does not depend on the rate: four pushes a second, whatever comes in."
    )


if __name__ == "__main__":
    sys.exit(main())

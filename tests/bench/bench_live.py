"""What the live socket costs intake, and how late it is, while a burst comes in.

    python -m tests.bench.bench_live [--rounds 5] [--seconds 8] [--waiting 0] [--write]

Needs wrk and PostgreSQL. Rounds with and without an open socket take turns. In both a
process asks to push as busy workers do; with a socket, a browser's part listens. So many
deliveries and messages as --waiting says wait before each round.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import median

from tests.bench.bench_intake import CASES, Bench, services
from tests.bench.intake.servers import Server, candidates
from tests.bench.live.backlog import statements
from tests.bench.live.watcher import Seen, watching
from tests.bench.report import machine, put_section

# Two share one listening socket unevenly, which moves the rate by half.
_PROCESSES = 1
_MOST_COST = 0.03
_GOAL = 5000
_MOST_LATE_S = 1.0
_OFF, _ON = "socket off", "socket on"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """How many requests a second there were, and the processor time of one."""

    rates: Sequence[float]
    web_us: float
    database_us: float

    @property
    def all_us(self) -> float:
        return self.web_us + self.database_us

    def row(self, label: str) -> str:
        least, most = min(self.rates), max(self.rates)
        return (
            f"| {label} | {median(self.rates):,.0f} ({least:,.0f} to {most:,.0f})"
            f" | {self.web_us:.0f} us | {self.database_us:.0f} us |"
        )


def main(*, arguments: Sequence[str] | None = None) -> int:
    """Return 1 when the socket was late or cost too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    asked = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        parser.error("wrk is needed (Debian: apt install wrk).")
    seen = {_OFF: Seen(), _ON: Seen()}
    with services() as bench:
        if asked.waiting:
            bench.keep(statements(asked.waiting))
        for turn in range(asked.rounds):
            # Who is first changes, so that a machine that slows down harms both alike.
            for label in (_OFF, _ON) if turn % 2 == 0 else (_ON, _OFF):
                bench.measure(
                    CASES[0],
                    candidates()[0],
                    seconds=asked.seconds,
                    label=label,
                    processes=_PROCESSES,
                    beside=_beside(bench, seen[label], is_open=label == _ON),
                )
        if seen[_OFF].pushed:
            message = "Something was pushed while no socket was open."
            raise RuntimeError(message)
        text, is_well = report(bench, seen[_ON], asked)
    sys.stdout.write(text)
    if asked.write:
        put_section("live", text)
    return 0 if is_well else 1


def _beside(
    bench: Bench, seen: Seen, *, is_open: bool
) -> Callable[[Server], AbstractContextManager[None]]:
    @contextmanager
    def pushing(server: Server) -> Iterator[None]:
        env = bench.environment()
        with watching(port=server.port, env=env, seen=seen, is_open=is_open):
            yield

    return pushing


def report(bench: Bench, seen: Seen, asked: argparse.Namespace) -> tuple[str, bool]:
    """Return the section of the documents, and whether both limits are kept."""
    spent = {
        label: _Spent(
            rates=[outcome.rate for outcome in bench.seen[label, "ours"]],
            web_us=median(bench.processor[label, "ours"]),
            database_us=median(bench.database[label, "ours"]),
        )
        for label in (_OFF, _ON)
    }
    late, gap = max(seen.late_s), max(seen.gaps_s)
    # As many core seconds a second, whatever the rate.
    more_us = spent[_ON].all_us - spent[_OFF].all_us
    core_s = more_us * median(spent[_ON].rates) / 1e6
    cost = core_s / (_GOAL * spent[_OFF].all_us / 1e6)
    lines = [
        "## The live socket in a burst",
        "",
        f"`make bench-live`; {machine()}. WHOOP webhooks as fast as one web process takes"
        " them (100 kept connections, each signed and unique, every 2xx found as a row);"
        " beside it a process asks to push as busy workers do; with the socket on, a"
        f" client listens to the same web process. {_backlog(asked.waiting)}"
        f" {asked.rounds} rounds of {asked.seconds:g} s each, taking turns; asked: no push"
        f" later than {_MOST_LATE_S:g} s, cost below {_MOST_COST:.0%}.",
        "",
        "| | requests/s, median (lowest to highest) | web's processor time a request"
        " | PostgreSQL's |",
        "|---|---|---|---|",
        *[one.row(label) for label, one in spent.items()],
        "",
        f"The socket took {1000 * core_s:.0f} ms of processor time a second from web and"
        f" PostgreSQL together: {cost:+.1%} of what {_GOAL:,} deliveries a second take."
        f" {len(seen.late_s)} pushes, {seen.lost} lost: from the begin of counting"
        f" until the client had it, median {1000 * median(seen.late_s):.0f} ms, at most"
        f" {1000 * late:.0f} ms; longest silence {1000 * gap:.0f} ms; largest push"
        f" {seen.largest:,} bytes.",
    ]
    is_well = cost < _MOST_COST and max(late, gap) <= _MOST_LATE_S and not seen.lost
    return "\n".join(lines) + "\n", is_well


def _backlog(waiting: int) -> str:
    if not waiting:
        return "Nothing waits before."
    return f"{waiting:,} deliveries and as many messages wait before each round."


if __name__ == "__main__":
    sys.exit(main())

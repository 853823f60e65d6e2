"""Intake while the database stands still again and again, and without Redis and Kafka.

    python -m tests.bench.bench_trouble [--seconds 30] [--rate 200] [--write]

The whole bridge runs. A sender goes on at its pace whatever is answered; each 2xx is
looked for as a row afterwards. The database stands still (SIGSTOP of all its processes)
for 2 s of every 10 s.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

django.setup()

from auren.devstack.process import process_tree  # noqa: E402
from tests.bench.bench_latency import DurableStack  # noqa: E402
from tests.bench.paced.load import Load, Spread  # noqa: E402
from tests.bench.paced.send import Sent  # noqa: E402
from tests.bench.report import machine, put_section  # noqa: E402
from tests.e2e.stack import Stack  # noqa: E402

_EVERY_S, _STALL_S = 10.0, 2.0
# What waited for the database is answered within so long of its waking.
_AFTER_S = 1.0
_LOOK_S = 0.5
_MIB = 1024


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one case showed; the stalls as spans of the monotonic clock."""

    stalls: list[tuple[float, float]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    lost: int = 0

    def accepted(self) -> list[Sent]:
        """Return what was answered with a 2xx."""
        return [one for one in self.sent if 200 <= one.status < 300]

    def during(self, *, stalled: bool) -> Spread:
        """Describe the accepted ones that were due in a stall, or outside of all."""
        return Spread.of(
            [
                one.ms
                for one in self.accepted()
                if stalled == any(a <= one.due <= b + _AFTER_S for a, b in self.stalls)
            ]
        )


def run(
    stack: Stack, *, rate: float, seconds: float, hurt: Callable[[Seen], None]
) -> Seen:
    """Send for so many seconds and call `hurt` again and again meanwhile."""
    seen = Seen()
    load = Load(stack, rate=rate, seconds=seconds)
    while load.running:
        seen.memory_mb.append(_web_mb(stack))
        hurt(seen)
        time.sleep(_LOOK_S)
    seen.sent = load.finished()
    marks = [one.mark for one in seen.accepted()]
    rows = stack.sql(
        "SELECT count(DISTINCT account_id) FROM biometrics_webhookdelivery"
        " WHERE account_id = ANY(%s)",
        marks,
    )
    seen.lost = len(marks) - int(rows[0][0])
    return seen


def stalling(stack: Stack) -> Callable[[Seen], None]:
    """Return what stops the database for 2 s of every 10 s."""
    began = time.monotonic()

    def hurt(seen: Seen) -> None:
        if (time.monotonic() - began) // _EVERY_S < len(seen.stalls) + 1:
            return
        process = stack.postgres.process
        process.signal_tree(signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(_STALL_S)
        process.signal_tree(signal.SIGCONT)
        seen.stalls.append((stopped, time.monotonic()))

    return hurt


def _nothing(_seen: Seen) -> None:
    """Hurt nobody."""


def _web_mb(stack: Stack) -> float:
    """Return the resident size of the largest web process."""
    return max(_resident_mb(pid) for pid in process_tree(stack.processes["web"].pid))


def _resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in status.splitlines() if "VmRSS" in line]
    return int(sizes[0]) / _MIB if sizes else 0.0


def section(found: dict[str, Seen], *, rate: float, seconds: float) -> str:
    """Return the part of docs/benchmarks.md."""
    lines = [
        "## Intake under trouble",
        "",
        f"`make bench-trouble`; {machine()}. The whole bridge on PostgreSQL with `fsync`"
        f" and `synchronous_commit` on; {rate:g} deliveries a second for {seconds:g} s,"
        " at their pace whatever is answered. Times from when a delivery was due. A stall:"
        f" all processes of PostgreSQL stopped for {_STALL_S:g} s of every {_EVERY_S:g} s;"
        f" what was due up to {_AFTER_S:g} s after one counts to it. Memory: the largest"
        " web process.",
        "",
        "| | sent | 2xx | 2xx without a row | p50 ms | p99 ms | in stalls: p50, p99 ms "
        "| MB: first, median, last |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, seen in found.items():
        calm, stalled = seen.during(stalled=False), seen.during(stalled=True)
        memory = seen.memory_mb
        cells = (
            name,
            f"{len(seen.sent):,}",
            f"{len(seen.accepted()):,}",
            str(seen.lost),
            f"{calm.p50:,.0f}",
            f"{calm.p99:,.0f}",
            f"{stalled.p50:,.0f}, {stalled.p99:,.0f}" if stalled.count else "",
            f"{memory[0]:.0f}, {median(memory):.0f}, {memory[-1]:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(stack: Stack, *, rate: float, seconds: float) -> dict[str, Seen]:
    """Run all cases on one stack: calm, with stalls, without Redis and Kafka."""
    run(stack, rate=rate, seconds=5, hurt=_nothing)  # what is only done once
    found = {
        "calm": run(stack, rate=rate, seconds=seconds, hurt=_nothing),
        "the database stalls": run(
            stack, rate=rate, seconds=seconds, hurt=stalling(stack)
        ),
    }
    stack.valkey.kill9()
    stack.kafka.kill9()
    found["without Redis and Kafka"] = run(
        stack, rate=rate, seconds=seconds, hurt=_nothing
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="auren-trouble-"))
    home.chmod(0o711)
    stack = DurableStack(home / "stack")
    try:
        stack.start()
        found = measure(stack, rate=given.rate, seconds=given.seconds)
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    text = section(found, rate=given.rate, seconds=given.seconds)
    sys.stdout.write(f"{text}\n")
    if given.write:
        put_section("trouble", text)


if __name__ == "__main__":
    main()

"""How step 8 grows with worker processes, shards and the size of a batch.

    python -m tests.bench.bench_scale [--backlog 20000] [--rounds 5] [--write]

Real PostgreSQL with fsync, Redis and Kafka, one worker, beat beside it. Messages that the bridge
made of nights wait in the outbox again; one figure is changed at a time, the others are 4
processes, 16 shards, batches of 500. Rounds take turns over all settings.
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

from tests.bench.bench_drain import DrainStack, published_per_s  # noqa: E402
from tests.bench.drain.backlog import fill  # noqa: E402
from tests.bench.report import machine, put_section  # noqa: E402

_USUAL = (4, 16, 500)
SETTINGS = (
    _USUAL,
    (1, 16, 500),
    (2, 16, 500),
    (4, 4, 500),
    (4, 64, 500),
    (4, 16, 100),
    (4, 16, 2000),
)
# Published before: the same messages wait anew, spread over as many shards as there are,
# and the bridge, which refuses another number while anything waits, is told of it.
_AGAIN = """
UPDATE biometrics_bridgeidentity SET shards = %s;
UPDATE biometrics_outboxmessage SET status = 'pending', batch_id = NULL, attempts = 0,
    published_at = NULL, kafka_partition = NULL, kafka_offset = NULL,
    shard = ('x' || left(md5(subject::text), 6))::bit(24)::int %% %s
"""


class ScaleStack(DrainStack):
    """A stack whose three figures change between runs."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.worker_children, self.shards, self.batch = _USUAL

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "SHARDS": str(self.shards),
            "KAFKA_PUBLISH_BATCH": str(self.batch),
        }


def prepare(stack: ScaleStack, *, backlog: int) -> None:
    """Have the bridge itself make the messages, from nights of many people."""
    fill(stack.postgres.url, count=backlog, seed=1)
    done = "SELECT count(*) FROM biometrics_outboxmessage WHERE status = 'published'"
    stack.until(lambda: stack.count(done) >= backlog, "all is published", seconds=1800)


def measure(stack: ScaleStack, *, backlog: int) -> float:
    """Return messages a second with the figures that the stack has now."""
    for name in ("worker", "beat"):
        stack.processes[name].stop(timeout=30)
    stack.sql(_AGAIN, stack.shards, stack.shards)
    stack.postgres.execute("VACUUM ANALYZE biometrics_outboxmessage")
    stack.start_beat()
    stack.start_worker()
    return published_per_s(stack, backlog, after=0)


def section(found: dict[tuple[int, int, int], list[float]], *, backlog: int) -> str:
    """Return the part of docs/benchmarks.md."""
    rounds = len(next(iter(found.values())))
    lines = [
        "## Step 8, by processes, shards and batch",
        "",
        f"`make bench-scale`; {machine()}. PostgreSQL with `fsync` and"
        " `synchronous_commit` on, real Kafka, exactly once. A backlog of"
        f" {backlog:,} messages of nights; the middle nine tenths are timed. Medians of"
        f" {rounds} rounds that take turns (lowest to highest).",
        "",
        "| worker processes | shards | batch | messages/s |",
        "|---|---|---|---|",
    ]
    for (processes, shards, batch), rates in found.items():
        spread = f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        lines.append(f"| {processes} | {shards} | {batch:,} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="auren-scale-"))
    home.chmod(0o711)
    stack = ScaleStack(home / "stack")
    found: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    try:
        stack.start()
        prepare(stack, backlog=given.backlog)
        for _ in range(given.rounds):
            for figures in SETTINGS:
                stack.worker_children, stack.shards, stack.batch = figures
                rate = measure(stack, backlog=given.backlog)
                found[figures].append(rate)
                sys.stdout.write(f"{figures} {rate:,.0f}/s\n")
                sys.stdout.flush()
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)
    text = section(found, backlog=given.backlog)
    sys.stdout.write(f"{text}\n")
    if given.write:
        put_section("scale", text)


if __name__ == "__main__":
    main()

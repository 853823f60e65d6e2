"""What steps 5 to 7 cost in processor time, and where it goes.

    python -m tests.bench.pipeline_cost [--count 4000] [--profile 40]

Fills a PostgreSQL of its own with stored deliveries, half Terra, half Oura with its
document, and carries them to the outbox in this process. Processor time, unlike time by
the clock, says the same beside other load.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from auren.devstack.postgres import TemporaryPostgres
from tests.bench.hrv_rebuild import processor_s
from tests.databases import migrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds for all deliveries: ours, the server's, and by the clock."""

    deliveries: int
    readings: int
    worker_s: float
    server_s: float
    wall_s: float


def measure(*, count: int, seed: int, profile: cProfile.Profile | None) -> Cost:
    """Fill a database and work it off, shard by shard."""
    home = Path(tempfile.mkdtemp(prefix="auren-cost-"))
    home.chmod(0o711)
    server = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    try:
        server.start()
        migrate(server.url)
        os.environ["DATABASE_URL"] = server.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        return _worked_off(server, count=count, seed=seed, profile=profile)
    finally:
        server.kill9()
        shutil.rmtree(home, ignore_errors=True)


def _worked_off(
    server: TemporaryPostgres,
    *,
    count: int,
    seed: int,
    profile: cProfile.Profile | None,
) -> Cost:
    import django  # noqa: PLC0415 - the settings must be there first

    django.setup()
    from biometrics.models import Reading  # noqa: PLC0415
    from tests.bench.drain.backlog import fill  # noqa: PLC0415

    fill(server.url, count=count, seed=seed)
    server.execute("ANALYZE")
    served, worked, began = (
        processor_s(server.process.pid),
        time.process_time(),
        time.monotonic(),
    )
    if profile is not None:
        profile.enable()
    done = carry_all()
    if profile is not None:
        profile.disable()
    return Cost(
        deliveries=done,
        worker_s=time.process_time() - worked,
        server_s=processor_s(server.process.pid) - served,
        wall_s=time.monotonic() - began,
        readings=Reading.objects.count(),
    )


def carry_all() -> int:
    """Take steps 5 to 7 for all that waits; return for how many deliveries."""
    from django.utils import timezone  # noqa: PLC0415 - see _worked_off

    from biometrics import pipeline  # noqa: PLC0415

    done = 0
    for shard in sorted(pipeline.due_process_shards(now=timezone.now())):
        goes_on = True
        while goes_on:
            found = pipeline.process_shard(shard=shard, now=timezone.now, budget_s=60)
            done += found.deliveries
            goes_on = found.more_due
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", type=int, help="print so many functions")
    given = parser.parse_args()
    profile = cProfile.Profile() if given.profile else None
    cost = measure(count=given.count, seed=given.seed, profile=profile)
    each = 1000 * (cost.worker_s + cost.server_s) / cost.deliveries
    sys.stdout.write(f"{cost}\n{each:.2f} ms of processor time a delivery\n")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(given.profile)


if __name__ == "__main__":
    main()

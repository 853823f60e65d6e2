"""What taking in one webhook costs in processor time, ours beside the peer.

    python -m tests.bench.intake_cost [--vendor whoop] [--seconds 5] [--rounds 3]

Each server runs with one process on a PostgreSQL of its own. Processor time, unlike
requests a second, says the same beside other load.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.valkey import EmbeddedValkey
from tests.bench.bench_intake import PEER_TABLE
from tests.bench.hrv_rebuild import processor_s
from tests.bench.intake.load import prepare, run
from tests.bench.intake.servers import Candidate, candidates, running
from tests.databases import migrate

_WARM_UP_S = 2.0
_PER_SECOND = {"whoop": 8000, "terra": 5000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Microseconds of a processor for one request: the web process, and PostgreSQL."""

    web: float
    database: float
    rate: float


class Costs:
    """Runs servers on one database and measures them."""

    def __init__(self, *, postgres: TemporaryPostgres, redis: str, home: Path) -> None:
        self._postgres, self._redis, self._home = postgres, redis, home
        self._seed = 0

    def measure(self, candidate: Candidate, *, vendor: str, seconds: float) -> Cost:
        """Load one server for so many seconds."""
        with running(
            candidate,
            database=self._postgres.url,
            redis=self._redis,
            home=self._home,
            processes=1,
        ) as server:
            self._load(server.port, vendor=vendor, seconds=_WARM_UP_S)
            web, database = server.processor_s(), self._served_s()
            requests, rate = self._load(server.port, vendor=vendor, seconds=seconds)
            each = 1e6 / requests
            return Cost(
                web=each * (server.processor_s() - web),
                database=each * (self._served_s() - database),
                rate=rate,
            )

    def _served_s(self) -> float:
        return processor_s(self._postgres.process.pid)

    def _load(self, port: int, *, vendor: str, seconds: float) -> tuple[int, float]:
        self._seed += 1
        folder = self._home / f"load-{self._seed}"
        folder.mkdir()
        count = int(_PER_SECOND[vendor] * (seconds + 1))
        prepare(
            vendor=vendor, folder=folder, count=count, seed=self._seed, duplicates=0
        )
        found = run(port=port, vendor=vendor, folder=folder, seconds=seconds)
        shutil.rmtree(folder)
        if found.refused or found.broken:
            msg = f"{found.refused} refused, {found.broken} broken"
            raise RuntimeError(msg)
        return found.requests, found.rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vendor", choices=sorted(_PER_SECOND), default="whoop")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("ours", "peer"))
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="auren-cost-"))
    home.chmod(0o711)
    postgres = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    valkey = EmbeddedValkey(data_dir=home / "valkey")
    compared = [
        candidate
        for candidate in candidates()
        if candidate.name in ({given.only} if given.only else {"ours", "peer"})
    ]
    try:
        postgres.start()
        valkey.start()
        migrate(postgres.url)
        postgres.execute(PEER_TABLE)
        costs = Costs(postgres=postgres, redis=valkey.url, home=home)
        found: dict[str, list[Cost]] = {candidate.name: [] for candidate in compared}
        for _ in range(given.rounds):
            for candidate in compared:
                cost = costs.measure(
                    candidate, vendor=given.vendor, seconds=given.seconds
                )
                found[candidate.name].append(cost)
    finally:
        valkey.kill9()
        postgres.kill9()
        shutil.rmtree(home, ignore_errors=True)
    for name, seen in found.items():
        web, database = median(c.web for c in seen), median(c.database for c in seen)
        sys.stdout.write(
            f"{name:5} {web:4.0f} us web + {database:4.0f} us PostgreSQL a request,"
            f" {median(c.rate for c in seen):,.0f}/s with one process\n"
        )


if __name__ == "__main__":
    main()

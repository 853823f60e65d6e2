"""Intake beside what one would otherwise write: requests a second, latency, memory.

    python -m tests.bench.bench_intake [--rounds 5] [--seconds 5] [--write]

Needs wrk and PostgreSQL. Every 2xx is counted against the rows afterwards.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg2

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.valkey import EmbeddedValkey
from tests.bench.hrv_rebuild import processor_s
from tests.bench.intake.load import CONNECTIONS, Outcome, prepare, run
from tests.bench.intake.servers import (
    PROCESSES,
    Candidate,
    Server,
    candidates,
    environment,
    running,
)
from tests.bench.report import machine, put_section
from tests.databases import migrate, parameters_of

PEER_TABLE = (
    "CREATE TABLE peer_delivery (id bigserial PRIMARY KEY, vendor text NOT NULL,"
    " dedupe_key text NOT NULL, headers jsonb NOT NULL, body bytea NOT NULL,"
    " received_at timestamptz NOT NULL DEFAULT now(), UNIQUE (vendor, dedupe_key))"
)
# More than the quickest server can take: one that stores, and one that does nothing.
_PER_SECOND_STORED = 10_000
_PER_SECOND = {"whoop": 50_000, "terra": 30_000}
_PART_OF_MAXIMUM = 0.7
_WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table: what is sent, and to which servers."""

    title: str
    vendor: str
    duplicates: float
    servers: tuple[str, ...]


CASES = (
    Case(
        title="WHOOP",
        vendor="whoop",
        duplicates=0.0,
        servers=("ours", "peer", "naive", "limit"),
    ),
    Case(
        title="WHOOP, 20 % duplicates",
        vendor="whoop",
        duplicates=0.2,
        servers=("ours", "peer"),
    ),
    Case(
        title="Terra, 4 kB",
        vendor="terra",
        duplicates=0.0,
        servers=("ours", "peer", "naive", "limit"),
    ),
)


def nothing(_server: Server) -> AbstractContextManager[None]:
    """Be beside a load without doing anything."""
    return nullcontext()


class Bench:
    """Runs cases against fresh servers on one cluster and keeps what was seen."""

    def __init__(self, *, postgres: TemporaryPostgres, redis: str, home: Path) -> None:
        self._postgres, self._redis, self._home = postgres, redis, home
        self.seen: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
        self.memory: dict[str, float] = defaultdict(float)
        # Processor time of all server processes for one request, in microseconds.
        self.processor: dict[tuple[str, str], list[float]] = defaultdict(list)
        # The same of PostgreSQL with all its processes.
        self.database: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._seed = 0
        # Deliveries up to this id were there before and stay.
        self._kept = 0

    def environment(self) -> Mapping[str, str]:
        """Return what a process beside the servers is started with."""
        metrics = self._home / "metrics-beside"
        metrics.mkdir(exist_ok=True)
        return environment(
            database=self._postgres.url, redis=self._redis, metrics=metrics
        )

    def measure(
        self,
        case: Case,
        candidate: Candidate,
        *,
        seconds: float,
        rate: float = 0.0,
        label: str = "",
        processes: int = PROCESSES,
        beside: Callable[[Server], AbstractContextManager[None]] = nothing,
    ) -> None:
        """Start the server, load it, count its rows; `rate` paces the load.

        `beside` is entered while the load runs.
        """
        warm_up = self._prepared(case, candidate, seconds=_WARM_UP_S)
        load = self._prepared(case, candidate, seconds=seconds)
        pause_ms = 1000 * CONNECTIONS / rate if rate else 0.0
        with running(
            candidate,
            database=self._postgres.url,
            redis=self._redis,
            home=self._home,
            processes=processes,
        ) as server:
            run(
                port=server.port,
                vendor=case.vendor,
                folder=warm_up,
                seconds=_WARM_UP_S,
            )
            self._empty()
            with beside(server):
                before, database = server.processor_s(), self._database_s()
                outcome = run(
                    port=server.port,
                    vendor=case.vendor,
                    folder=load,
                    seconds=seconds,
                    pause_ms=pause_ms,
                )
                used = server.processor_s() - before
                database = self._database_s() - database
            self.memory[candidate.name] = max(
                self.memory[candidate.name], server.memory_mb()
            )
        shutil.rmtree(warm_up)
        shutil.rmtree(load)
        self._check(case, candidate, outcome)
        self.seen[label or case.title, candidate.name].append(outcome)
        self.processor[label or case.title, candidate.name].append(
            1e6 * used / outcome.requests
        )
        self.database[label or case.title, candidate.name].append(
            1e6 * database / outcome.requests
        )
        _say(f"{label or case.title:26} {candidate.name:6} {_short(outcome)}")

    def _prepared(self, case: Case, candidate: Candidate, *, seconds: float) -> Path:
        self._seed += 1
        folder = self._home / f"load-{self._seed}"
        folder.mkdir()
        most = _PER_SECOND_STORED if candidate.table else _PER_SECOND[case.vendor]
        prepare(
            vendor=case.vendor,
            folder=folder,
            count=int(most * (seconds + 1)),
            seed=self._seed,
            duplicates=case.duplicates,
        )
        return folder

    def _check(self, case: Case, candidate: Candidate, outcome: Outcome) -> None:
        """Refuse figures of a run in which anything was refused or is missing."""
        if outcome.refused or outcome.broken:
            msg = (
                f"{candidate.name}: {outcome.refused} refused, {outcome.broken} broken"
            )
            raise RuntimeError(msg)
        if not candidate.table:
            return
        rows = self._query(
            f"SELECT count(*) FROM {candidate.table} WHERE id > {self._kept}"
        )
        accepted = outcome.requests * (1 - 1.05 * case.duplicates)
        if not accepted <= rows <= outcome.requests + 2 * CONNECTIONS:
            msg = f"{candidate.name}: {outcome.requests} answers, {rows} rows"
            raise RuntimeError(msg)

    def keep(self, statements: Sequence[str]) -> None:
        """Store what is there before every round and stays."""
        for statement in statements:
            self._postgres.execute(statement)
        self._postgres.execute("VACUUM ANALYZE")
        self._kept = self._query("SELECT max(id) FROM biometrics_webhookdelivery")

    def _database_s(self) -> float:
        return processor_s(self._postgres.process.pid)

    def _empty(self) -> None:
        if self._kept:
            # Not truncated: that would take everything that refers to a delivery, too.
            self._postgres.execute(
                f"DELETE FROM biometrics_webhookdelivery WHERE id > {self._kept}"
            )
            self._postgres.execute("VACUUM biometrics_webhookdelivery")
            self._postgres.execute("CHECKPOINT")
            return
        tables = "biometrics_webhookdelivery, biometrics_intakecount, peer_delivery"
        self._postgres.execute(f"TRUNCATE {tables} CASCADE")
        self._postgres.execute("CHECKPOINT")

    def _query(self, statement: str) -> int:
        session = psycopg2.connect(**parameters_of(self._postgres.url))
        try:
            with session.cursor() as cursor:
                cursor.execute(statement)
                (value,) = cursor.fetchone() or (0,)
                return int(value)
        finally:
            session.close()


def main(*, arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        parser.error("wrk is needed (Debian: apt install wrk).")
    by_name = {candidate.name: candidate for candidate in candidates()}
    with services() as bench:
        for _ in range(options.rounds):
            for case in CASES:
                for name in case.servers:
                    bench.measure(case, by_name[name], seconds=options.seconds)
        whoop = CASES[0]
        for name in ("ours", "peer"):
            most = median(o.rate for o in bench.seen[whoop.title, name])
            for _ in range(options.rounds):
                bench.measure(
                    whoop,
                    by_name[name],
                    seconds=options.seconds,
                    rate=_PART_OF_MAXIMUM * most,
                    label="WHOOP at 70 % of its own most",
                )
        text = report(bench, options.rounds, options.seconds)
    _say(text)
    if options.write:
        put_section("intake", text)


@contextmanager
def services() -> Iterator[Bench]:
    """Start PostgreSQL and Valkey for the servers, and stop them."""
    home = Path(tempfile.mkdtemp(prefix="auren-bench-"))
    home.chmod(0o711)
    postgres = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    valkey = EmbeddedValkey(data_dir=home / "valkey")
    try:
        postgres.start()
        valkey.start()
        migrate(postgres.url)
        postgres.execute(PEER_TABLE)
        yield Bench(postgres=postgres, redis=valkey.url, home=home)
    finally:
        valkey.kill9()
        postgres.kill9()
        shutil.rmtree(home, ignore_errors=True)


def report(bench: Bench, rounds: int, seconds: float) -> str:
    """Return the table as Markdown: medians, and the spread of the rates."""
    lines = [
        "## Intake",
        "",
        f"`make bench-intake`; {machine()}; {_wrk()}. PostgreSQL with `fsync` and"
        " `synchronous_commit` on; 100 kept connections, two server processes, every"
        f" body signed and unique. Medians of {rounds} interleaved runs of {seconds:g} s"
        " (lowest to highest). Every 2xx was found as a row. The bridge runs with its"
        " metrics, ledger counters and nudges; its workers are off, as the others have"
        " none.",
        "",
        "| load | server | requests/s | p50 ms | p99 ms | p99.9 ms | of the peer's | MB a process |",
        "|---|---|---|---|---|---|---|---|",
    ]
    titles = {candidate.name: candidate.title for candidate in candidates()}
    for (load, name), outcomes in bench.seen.items():
        rates = [outcome.rate for outcome in outcomes]
        peer = median(o.rate for o in bench.seen[load, "peer"])
        lines.append(
            f"| {load} | {titles[name]} "
            f"| {median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) "
            f"| {median(o.p50 for o in outcomes):.1f} "
            f"| {median(o.p99 for o in outcomes):.1f} "
            f"| {median(o.p999 for o in outcomes):.1f} "
            f"| {median(rates) / peer:.2f} | {bench.memory[name]:.0f} |"
        )
    return "\n".join(lines)


def _wrk() -> str:
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join(said.stdout.split()[:2])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _short(outcome: Outcome) -> str:
    return f"{outcome.rate:8,.0f}/s p50 {outcome.p50:6.1f} p99 {outcome.p99:6.1f} ms"


if __name__ == "__main__":
    main()

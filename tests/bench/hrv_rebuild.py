"""Rebuilding everybody's verdicts from PostgreSQL, on one core.

    python -m tests.bench.hrv_rebuild [--people 10000]

Fills a cluster of its own with nights of simulated people, whose verdicts are empty, and
times `manage.py rebuild_baselines` as a process of its own; then once more, which must
find nothing to change.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import process_tree
from tests.bench.hrv_people import Model
from tests.bench.hrv_rates import people
from tests.databases import migrate

NIGHTS = 60
_CHUNK = 100
_COLUMNS = (
    *("subject_id", "series_id", "night", "kind", "record_id", "is_main", "sleep_s"),
    *("value_ms", "rhr_bpm", "rr_brpm", "temp_c", "revision_stamp"),
    *("severity", "verdict", "ruleset", "updated_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """Seconds of one run, and what it said last.

    By the clock, and of processor time: the command's own and the database server's.
    """

    wall_s: float
    core_s: float
    server_s: float
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    people: int
    rows: int
    first: Rebuilt
    again: Rebuilt


def measure(*, count: int, seed: int) -> Outcome:
    """Fill a database, rebuild it twice."""
    with _database() as server:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": server.url,
        }
        filled = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--fill", str(count), str(seed)],
            check=True,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        first = _rebuild(environment, server=server)
        again = _rebuild(environment, server=server)
    return Outcome(people=count, rows=int(filled.stdout), first=first, again=again)


def _rebuild(environment: dict[str, str], *, server: TemporaryPostgres) -> Rebuilt:
    served = processor_s(server.process.pid)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "manage.py", "rebuild_baselines"],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    wall = perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = done.stdout.strip().splitlines()
    return Rebuilt(
        wall_s=wall,
        core_s=core,
        server_s=processor_s(server.process.pid) - served,
        said=lines[-1] if lines else "",
    )


def processor_s(pid: int) -> float:
    """Return the processor time of a process and all its children, ended ones too."""
    ticks = 0
    for one in process_tree(pid):
        try:
            stat = Path(f"/proc/{one}/stat").read_text()
        except FileNotFoundError:
            continue
        # After the name: utime, stime, and the same of children that were waited for.
        ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _database() -> Iterator[TemporaryPostgres]:
    home = Path(tempfile.mkdtemp(prefix="auren-bench-"))
    home.chmod(0o711)
    server = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    try:
        server.start()
        migrate(server.url)
        yield server
    finally:
        server.kill9()
        shutil.rmtree(home, ignore_errors=True)


def fill(*, count: int, seed: int) -> int:
    """Store nights as normalising leaves them, in a process that has the settings."""
    import django  # noqa: PLC0415 - the settings must be there first

    django.setup()
    from biometrics.models import HrvNight, Subject, bulk  # noqa: PLC0415

    crowd, rows = people(count=count, seed=seed, model=Model()), 0
    for begin in range(0, count, _CHUNK):
        made = Subject.objects.bulk_create(
            Subject(id=uuid4(), label=f"person {begin + i}")
            for i in range(min(_CHUNK, count - begin))
        )
        chunk = [
            row
            for subject, person in zip(made, crowd[begin : begin + _CHUNK], strict=True)
            for row in _rows(subject.pk, person)
        ]
        bulk.insert(HrvNight, columns=_COLUMNS, rows=chunk)
        rows += len(chunk)
    return rows


def _rows(subject: Any, person: Any) -> list[tuple[Any, ...]]:
    now = datetime.now(tz=UTC)
    worn = [night for night in person.nights() if night.value_ms is not None][:NIGHTS]
    # The last one is last night: what a rebuild finds in the field.
    shift = now.date() - worn[-1].night
    return [
        (
            *(subject, "RMSSD:bench:ring", night.night + shift, "RMSSD"),
            *(f"night-{night.night}", True, 27_000.0, night.value_ms, night.rhr_bpm),
            *(night.rr_brpm, night.temp_c, now - timedelta(hours=1)),
            *("NORMAL", {}, "", now),
        )
        for night in worn
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fill", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        count, seed = options.fill
        sys.stdout.write(str(fill(count=count, seed=seed)))
        return
    sys.stdout.write(f"{measure(count=options.people, seed=options.seed)}\n")


if __name__ == "__main__":
    main()

"""Does forgetting disturb intake? python -m tests.bench.bench_retention [--rows 100000]

Senders deliver at a fixed rate to a web process on a PostgreSQL of its own (fsync on),
for as long without and with `manage.py retention` beside it, three times in turn. What
there is to forget: bodies, messages, and events with a reading each, all of them old.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from statistics import quantiles

import psycopg2

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import ManagedProcess
from tests.bench.report import machine
from tests.databases import parameters_of
from tests.intake.restarting import Web, delivery

_SENDERS, _PAUSE_S = 8, 0.05
_DAYS = {"EVENT_RETENTION_DAYS": "365", "AUDIT_RETENTION_DAYS": "365"}


def fill(url: str, *, rows: int) -> None:
    """Put in so many old deliveries, events, readings and messages."""
    with closing(psycopg2.connect(**parameters_of(url))) as session, session:
        cursor = session.cursor()
        person = "00000000-0000-4000-8000-000000000001"
        _insert(cursor, "biometrics_subject", {"id": f"'{person}'"}, rows=1)
        _insert(
            cursor,
            "biometrics_vendorconnection",
            {"id": "1", "subject_id": f"'{person}'", "status": "'active'"},
            rows=1,
        )
        body = "decode(repeat('7b', 2000), 'hex')"
        _insert(
            cursor,
            "biometrics_webhookdelivery",
            {
                "id": "n",
                "public_id": "gen_random_uuid()",
                "body": body,
                "dedupe_key": "'old-' || n",
                "status": "'processed'",
                "origin": "'webhook'",
                "received_at": "now() - interval '500 days'",
            },
            rows=rows,
        )
        event = "('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid"
        common = {"connection_id": "1", "subject_id": f"'{person}'"}
        past = "now() - interval '500 days'"
        _insert(
            cursor,
            "biometrics_biometricevent",
            {
                **common,
                "id": event,
                "delivery_id": "n",
                "record_id": "'r' || n",
                "status": "'current'",
                "action": "'updated'",
                "created_at": past,
                "data": "jsonb_build_object('readings', repeat('x', 1500))",
            },
            rows=rows,
        )
        _insert(
            cursor,
            "biometrics_reading",
            {**common, "id": "n", "event_id": event, "record_id": "'r' || n"},
            rows=rows,
        )
        _insert(
            cursor,
            "biometrics_outboxmessage",
            {
                "id": "n",
                "ce_id": event,
                "subject": f"'{person}'",
                "event_id": event,
                "status": "'published'",
                "value": body,
                "published_at": past,
                "created_at": past,
                "batch_id": "NULL",
            },
            rows=rows,
        )
        for table in ("webhookdelivery", "outboxmessage", "reading"):
            name = f"biometrics_{table}"
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {rows})"
            )
    with closing(psycopg2.connect(**parameters_of(url))) as session:
        session.autocommit = True
        session.cursor().execute("VACUUM ANALYZE")


def _insert(cursor: object, table: str, given: dict[str, str], *, rows: int) -> None:
    """Insert rows; a column that is not given gets what is empty for its type."""
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL"
        " AND is_identity = 'NO'",
        [table],
    )
    empty = {
        "jsonb": "'{}'",
        "boolean": "false",
        "timestamp with time zone": "now()",
        "character varying": "''",
    }
    needed = dict(cursor.fetchall())  # type: ignore[attr-defined]
    columns = {name: empty.get(kind, "0") for name, kind in needed.items()} | given
    cursor.execute(  # type: ignore[attr-defined]
        f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE"
        f" SELECT {', '.join(columns.values())} FROM generate_series(1, {rows}) n"
    )


class Load:
    """Senders at a fixed rate, and how long each waited."""

    def __init__(self, web: Web) -> None:
        self._web, self._stop = web, threading.Event()
        self.waited: list[float] = []
        self.failed = 0
        self._threads = [threading.Thread(target=self._send) for _ in range(_SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> str:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        cuts = quantiles(self.waited, n=100)
        return (
            f"{len(self.waited)} deliveries, {self.failed} failed, p50 "
            f"{cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f} ms, "
            f"p99 {cuts[98] * 1000:.1f} ms"
        )

    def _send(self) -> None:
        with closing(self._web.connect()) as client:
            while not self._stop.wait(_PAUSE_S):
                body, proof = delivery()
                begun = time.perf_counter()
                try:
                    client.request("POST", "/webhooks/terra", body, proof)
                    answer = client.getresponse()
                    answer.read()
                    self.failed += answer.status != 200
                except (OSError, http.client.HTTPException):
                    self.failed += 1
                    return
                self.waited.append(time.perf_counter() - begun)


def forget(web: Web) -> str:
    """Run the command as beat's task does, in a process of its own."""
    lines: list[str] = []
    process = ManagedProcess(
        name="retention",
        argv=[sys.executable, "manage.py", "retention", "--seconds", "20"],
        env=web.environment,
        on_line=lines.append,
    )
    assert process.wait(timeout=120), "retention does not end"
    assert process.returncode == 0, lines
    return ", ".join(line.replace("\t", " ") for line in lines)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    home = Path(tempfile.mkdtemp(prefix="auren-bench-"))
    home.chmod(0o711)
    server = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    web = None
    try:
        server.start()
        web = Web(home, processes=2, extra={"DATABASE_URL": server.url, **_DAYS})
        fill(server.url, rows=rows)
        say(machine())
        for _ in range(3):
            load = Load(web)
            time.sleep(15)
            say(f"alone:     {load.stop()}")
            load = Load(web)
            begun = time.perf_counter()
            told = forget(web)
            took = time.perf_counter() - begun
            say(f"retention: {load.stop()} ({took:.0f} s: {told})")
    finally:
        if web is not None:
            web.kill()
        server.kill9()
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fill an empty PostgreSQL database: one million deliveries unless told otherwise.

DATABASE_URL=postgres://… python -m tests.bench.console.seed [--deliveries 1000000]
    [--messages 2000000] [--people 10000]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

import psycopg2

from tests.bench.console.rows import STATEMENTS
from tests.databases import migrate, parameters_of

_BATCH = 500


def seed(url: str, *, deliveries: int, messages: int, people: int) -> None:
    """Store a month's rows of everything, and let the planner know of them."""
    numbers = {
        "deliveries": deliveries,
        "messages": messages,
        "people": people,
        "batches": max(1, messages // _BATCH),
    }
    session = psycopg2.connect(**parameters_of(url))
    session.autocommit = True
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT 1 FROM biometrics_subject)")
            if cursor.fetchone() == (True,):
                message = "There is somebody already: give an empty database."
                raise SystemExit(message)
            for name, statement in STATEMENTS:
                began = time.monotonic()
                cursor.execute(_filled(statement, numbers))
                _say(f"{name}: {cursor.rowcount:,} in {time.monotonic() - began:.0f} s")
            cursor.execute("VACUUM ANALYZE")
    finally:
        session.close()


def _filled(statement: str, numbers: dict[str, int]) -> str:
    """Put whole numbers in; the driver would read the modulo signs as its own."""
    for name, number in numbers.items():
        statement = statement.replace(f"%({name})s", str(number))
    return statement


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(*, arguments: Sequence[str] | None = None) -> None:
    """Migrate and fill the database in DATABASE_URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--people", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    url = os.environ["DATABASE_URL"]
    migrate(url)
    seed(url, deliveries=asked.deliveries, messages=asked.messages, people=asked.people)


if __name__ == "__main__":
    main()

"""A process that takes of a vendor's limit when told to, and says how often it got leave.

    python -m tests.connections.pacing_process VENDOR AMOUNT TRIES

Prints `ready`, waits for a line, tries, prints the number.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import django


def main(vendor: str, amount: int, tries: int) -> None:
    django.setup()

    from biometrics.connections import pacing  # noqa: PLC0415 - needs Django set up
    from biometrics.vendors.api_spec import RateLimit  # noqa: PLC0415

    limit = RateLimit(amount=amount, window_s=3600)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    waits = [
        pacing.take(
            slug=vendor,
            account="someone",
            limits=[limit],
            params={},
            now=datetime.now(tz=UTC),
        )
        for _ in range(tries)
    ]
    sys.stdout.write(f"{waits.count(None)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""A Celery worker that the kernel would end: ``python -m tests.e2e.deadly_worker -A …``

The product's own worker, but reading a delivery that holds MARK kills the process that
reads it, as the kernel does with one that takes all memory. Leases are short, so that
whoever comes next need not wait for half a minute.
"""

from __future__ import annotations

import os
import signal
import sys
from unittest import mock

import django

from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery

MARK = b"takes-all-memory"
LEASE_SECONDS = 4.0


def main() -> None:
    """Prepare the process, then be Celery."""
    django.setup()
    from celery.__main__ import main as celery  # noqa: PLC0415 - after the set-up

    from biometrics import leases  # noqa: PLC0415 - needs Django set up
    from biometrics.vendors.terra.adapter import Terra  # noqa: PLC0415

    understand = Terra.understand

    def deadly(adapter: Terra, delivery: StoredDelivery) -> Understanding:
        if MARK in delivery.body:
            os.kill(os.getpid(), signal.SIGKILL)
        return understand(adapter, delivery)

    mock.patch.object(Terra, "understand", deadly).start()
    leases.LEASE_SECONDS = LEASE_SECONDS
    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()

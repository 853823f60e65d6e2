"""A Celery worker whose leases are short and whose clock may be wrong.

``python -m tests.chaos.worker -A auren worker …``: the product's own worker, but a
frozen one is past its lease within seconds, and CHAOS_CLOCK_S sets its clock aside.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta

import django
from django.utils import timezone

LEASE_SECONDS = 4.0


def set_clock_aside(*, seconds: float) -> None:
    """Shift what the whole process takes for the present."""
    true_now = timezone.now

    def now() -> datetime:
        return true_now() + timedelta(seconds=seconds)

    timezone.now = now


def main() -> None:
    """Prepare the process, then be Celery."""
    set_clock_aside(seconds=float(os.environ.get("CHAOS_CLOCK_S", "0")))
    django.setup()
    from celery.__main__ import main as celery  # noqa: PLC0415 - after the clock

    from biometrics import leases  # noqa: PLC0415 - needs Django set up

    leases.LEASE_SECONDS = LEASE_SECONDS
    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()

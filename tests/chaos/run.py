"""Chaos by seeds: ``python -m tests.chaos.run --seeds 20`` (``make chaos``).

One seed decides the traffic, the order of the faults and their moments; the scheduler
of the machine decides the rest. Prints one table a seed, fails at the first that is not
clean, and leaves no process behind.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
import django

# Records that are read are held to the contract, whose code wants its models.
django.setup()

from tests.chaos.faults import ChaosStack, Faults  # noqa: E402
from tests.chaos.judge import Verdict, judge, wait_for_rest  # noqa: E402
from tests.chaos.traffic import Traffic  # noqa: E402
from tests.e2e.bodies import terra_sleep  # noqa: E402

SHORT_AWAY_S = 8.0
LONG_AWAY_S = 30.0
_RECOVERY_S = 180.0


def run(*, seed: int, kafka_away_s: float, say: Callable[[str], None]) -> Verdict:
    """Start everything, hurt it, let it rest, and count."""
    home = Path(tempfile.mkdtemp(prefix="auren-chaos-"))
    stack = ChaosStack(home)
    try:
        stack.start()
        verdict = _hurt(stack, seed=seed, kafka_away_s=kafka_away_s, say=say)
    finally:
        stack.stop()
    # What a failed run has logged stays for whoever looks into it.
    if verdict.is_clean:
        shutil.rmtree(home, ignore_errors=True)
    else:
        say(f"  logs in {home}")
    return verdict


def _hurt(
    stack: ChaosStack, *, seed: int, kafka_away_s: float, say: Callable[[str], None]
) -> Verdict:
    randomness = random.Random(seed)
    traffic = Traffic(stack, randomness=randomness)
    api = traffic.prepare()
    say(f"seed {seed}")
    try:
        traffic.start()
        faults = Faults(stack, randomness=randomness, kafka_away_s=kafka_away_s)
        if not stack.disk_is_small:
            say("  full disk of Kafka         not possible: no tmpfs may be mounted")
        for name, fault in faults.all():
            threading.Event().wait(randomness.random() * 2)
            fault()
            say(f"  {name:<26} recovered in {_recovery(stack):5.1f} s")
        say(f"  deliveries left when the faults were over: {traffic.left}")
        traffic.finish(seconds=_RECOVERY_S)
        wait_for_rest(stack)
        verdict = judge(stack, acknowledged=traffic.acknowledged)
    finally:
        api.stop()
    say(f"  answered with an error or not at all: {traffic.refused}")
    say(f"  ended by themselves and started again: {stack.restarts or 'none'}")
    for words in stack.last_words:
        say(f"  last words:\n{words[-_LAST_WORDS:]}")
    say(
        f"  acknowledged {verdict.acknowledged}, records {verdict.records}: "
        f"lost {verdict.lost}, doubled {verdict.doubled}, "
        f"out of order {verdict.disordered}, imbalance {verdict.imbalance}"
    )
    return verdict


# Enough for the end of a traceback.
_LAST_WORDS = 3000


def _recovery(stack: ChaosStack) -> float:
    """Measure how long a new delivery takes until it is on its topic, from now."""
    user = str(uuid4())
    body = terra_sleep(user_id=user)
    started = time.monotonic()

    def accepted() -> bool:
        try:
            return stack.deliver("terra", body).status == 200
        except OSError:
            return False

    stack.until(accepted, "intake accepts again", seconds=_RECOVERY_S)
    stack.until(
        lambda: stack.sql(
            "SELECT 1 FROM biometrics_outboxmessage m"
            " JOIN biometrics_vendorconnection c ON c.subject_id = m.subject"
            " WHERE c.account_id = %s AND m.status = 'published'",
            user,
        ),
        "a new delivery is published",
        seconds=_RECOVERY_S,
    )
    return time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="Kafka away 8 s, not 30.")
    given = parser.parse_args()
    away = SHORT_AWAY_S if given.short else LONG_AWAY_S
    for seed in range(given.first, given.first + given.seeds):
        started = time.monotonic()
        verdict = run(seed=seed, kafka_away_s=away, say=_say)
        _say(f"  {time.monotonic() - started:.0f} s")
        if not verdict.is_clean:
            return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

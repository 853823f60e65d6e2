"""What step 8 costs in processor time, and where it goes.

    python -m tests.bench.relay_cost [--count 20000] [--profile 40]
    python -m tests.bench.relay_cost --turns 400 [--profile 40]

Carries nights to the outbox of a PostgreSQL of its own, copies their messages until there
are enough, and publishes them to a real Kafka in this process: from a backlog, or one
message a turn. Processor time, unlike time by the clock, says the same beside other load.
Last, the same bytes go out by a plain loop of kafka-python.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.postgres import TemporaryPostgres
from tests.bench.hrv_rebuild import processor_s
from tests.databases import migrate

_NIGHTS = 1_000
_COPIES = """
INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic, event_type, headers,
    value, priority, status, probe, attempts, error, created_at)
SELECT id, shard, subject, topic, event_type,
    jsonb_set(headers, '{ce_id}', to_jsonb(id::text)), value, 0, 'pending', false, 0, '',
    now()
FROM (SELECT m.*, gen_random_uuid() AS id
      FROM (SELECT shard, subject, topic, event_type, headers, value
            FROM biometrics_outboxmessage WHERE priority = 0
            ORDER BY biometrics_outboxmessage.id LIMIT 1000) m,
          generate_series(1, 1000) again LIMIT %s) copies
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of so many messages: seconds of ours and of PostgreSQL's, and by the clock."""

    messages: int
    worker_s: float
    server_s: float
    wall_s: float

    def __str__(self) -> str:
        each = 1e6 / self.messages
        return (
            f"{self.messages} messages: {self.worker_s * each:.0f} us of ours and"
            f" {self.server_s * each:.0f} us of PostgreSQL's each,"
            f" {self.messages / self.wall_s:.0f}/s by the clock"
        )


def measure(*, count: int, turns: int, profile: cProfile.Profile | None) -> list[str]:
    """Start both servers, publish, and say what it took."""
    home = Path(tempfile.mkdtemp(prefix="auren-cost-"))
    home.chmod(0o711)
    postgres = TemporaryPostgres(data_dir=home / "postgres", fsync=True)
    kafka = EmbeddedKafka(data_dir=home / "kafka")
    try:
        postgres.start()
        kafka.start()
        migrate(postgres.url)
        os.environ["DATABASE_URL"] = postgres.url
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        return _published(postgres, kafka, count=count, turns=turns, profile=profile)
    finally:
        kafka.kill9()
        postgres.kill9()
        shutil.rmtree(home, ignore_errors=True)


def _published(
    postgres: TemporaryPostgres,
    kafka: EmbeddedKafka,
    *,
    count: int,
    turns: int,
    profile: cProfile.Profile | None,
) -> list[str]:
    import django  # noqa: PLC0415 - the settings must be there first

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from tests.bench.drain.backlog import fill  # noqa: PLC0415
    from tests.bench.pipeline_cost import carry_all  # noqa: PLC0415

    call_command("kafka_topics", verbosity=0)
    fill(postgres.url, count=_NIGHTS, seed=1)
    carry_all()
    # What a process does once: its producer, and the progress of each shard.
    _publish_all()
    if turns:
        found = _timed(postgres, profile, lambda: _one_by_one(turns))
        return [f"one a turn: {found}", _beside(kafka, turns)]
    _add(count)
    postgres.execute("ANALYZE")
    found = _timed(postgres, profile, _publish_all)
    return [f"backlog: {found}", _beside(kafka, count)]


def _add(count: int) -> None:
    from django.db import connection  # noqa: PLC0415 - see _published

    with connection.cursor() as cursor:
        cursor.execute(_COPIES, [count])


def _timed(
    postgres: TemporaryPostgres,
    profile: cProfile.Profile | None,
    publish: Callable[[], int],
) -> Cost:
    served, worked, began = (
        processor_s(postgres.process.pid),
        time.process_time(),
        time.monotonic(),
    )
    if profile is not None:
        profile.enable()
    done = publish()
    if profile is not None:
        profile.disable()
    return Cost(
        messages=done,
        worker_s=time.process_time() - worked,
        server_s=processor_s(postgres.process.pid) - served,
        wall_s=time.monotonic() - began,
    )


def _publish_all() -> int:
    from django.utils import timezone  # noqa: PLC0415 - see _published

    from biometrics.publishing import relay  # noqa: PLC0415

    done = 0
    while shards := relay.due_publish_shards(now=timezone.now()):
        for shard in shards:
            done += relay.publish_shard(
                shard=shard, now=timezone.now, deadline=time.monotonic() + 1
            ).published
    return done


def _one_by_one(turns: int) -> int:
    """Publish each message in a turn of its own; adding it is in the time too."""
    from django.utils import timezone  # noqa: PLC0415 - see _published

    from biometrics.models import OutboxMessage  # noqa: PLC0415
    from biometrics.publishing import relay  # noqa: PLC0415

    for _ in range(turns):
        _add(1)
        shard = OutboxMessage.objects.latest("id").shard
        relay.publish_shard(
            shard=shard, now=timezone.now, deadline=time.monotonic() + 1
        )
    return turns


def _beside(kafka: EmbeddedKafka, count: int) -> str:
    from biometrics.models import OutboxMessage  # noqa: PLC0415 - see _published
    from tests.bench.drain import plain  # noqa: PLC0415

    rows = OutboxMessage.objects.order_by("-id")[:count]
    records = [
        (
            *(plain.TOPIC, str(subject).encode(), bytes(value or b"")),
            [(name, text.encode()) for name, text in headers.items()],
        )
        for subject, value, headers in rows.values_list("subject", "value", "headers")
    ]
    plain.make_topic(kafka.bootstrap_servers)
    worked = time.process_time()
    rate = plain.transactions(kafka.bootstrap_servers, records)
    each = 1e6 * (time.process_time() - worked) / len(records)
    mean = sum(len(value) for _, _, value, _ in records) / len(records)
    return (
        f"plain loop, a transaction per 500: {each:.0f} us of ours each, {rate:.0f}/s by"
        f" the clock; values of {mean:.0f} bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument(
        "--turns", type=int, default=0, help="so many, one message each"
    )
    parser.add_argument("--profile", type=int, help="print so many functions")
    parser.add_argument("--sort", default="tottime", help="of the profile")
    given = parser.parse_args()
    profile = cProfile.Profile() if given.profile else None
    for line in measure(count=given.count, turns=given.turns, profile=profile):
        sys.stdout.write(f"{line}\n")
    if profile is not None:
        pstats.Stats(profile).sort_stats(given.sort).print_stats(given.profile)


if __name__ == "__main__":
    main()

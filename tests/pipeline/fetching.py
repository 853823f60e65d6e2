"""A worker of its own that fetches announced payloads: how far its memory rises.

    python -m tests.pipeline.fetching PORT CERTIFICATE COUNT

The bucket at the port answers with a small payload once, and then with large ones.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import django
import orjson

from tests.bench.bench_bodies import peak


def main() -> None:
    port, trusted, count = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    django.setup()
    from django.db.models.functions import Length  # noqa: PLC0415 - Django is set up

    from biometrics.connections import downloads  # noqa: PLC0415
    from biometrics.models import WebhookDelivery  # noqa: PLC0415
    from biometrics.pipeline import process_shard  # noqa: PLC0415
    from tests.pipeline import bucket  # noqa: PLC0415
    from tests.pipeline.world import World  # noqa: PLC0415

    downloads.connector = partial(bucket.connector, port=port, trusted=trusted)
    world = World()
    shard = bucket.ping(world).shard
    process_shard(shard=shard, now=world.clock, budget_s=60)
    before = peak()
    for _ in range(count):
        bucket.ping(world)
    # A pass on a busy machine may have no time for them all, and leaves the rest as it was.
    for _ in range(count):
        process_shard(shard=shard, now=world.clock, budget_s=60)
    rise = peak() - before
    rows = WebhookDelivery.objects.exclude(event_type="s3_payload").order_by("id")
    sizes = list(rows.values_list(Length("body"), flat=True)[1:])
    pings = WebhookDelivery.objects.filter(event_type="s3_payload")
    ends = sorted(set(pings.values_list("status", "error")))
    told = {"rise": rise, "sizes": sizes, "ends": ends}
    sys.stdout.write(orjson.dumps(told).decode())


if __name__ == "__main__":
    main()

"""Announced payloads of tens of megabytes: alone, in pieces, with patience for them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from aiohttp import web
from django.conf import settings

from biometrics import payload_rows, payloads, stopping
from biometrics.connections import downloads
from biometrics.items import Item
from biometrics.leases import LEASE_SECONDS
from biometrics.models import ShardLease, WebhookDelivery
from biometrics.models.outbox import LeaseStep
from biometrics.pipeline import process_shard
from biometrics.shards import shard_of
from tests.bench.bench_bodies import MIB, body_of
from tests.pipeline.bucket import DAILY, Bucket, in_pieces, payload, ping, run
from tests.pipeline.world import World

pytestmark = pytest.mark.usefixtures("fresh_breakers")
_PIECE = 256 * 1024


def pieces(body: bytes) -> list[bytes]:
    return [body[at : at + _PIECE] for at in range(0, len(body), _PIECE)]


@pytest.fixture(scope="module")
def large() -> bytes:
    """Return a payload of three MiB."""
    return body_of("terra", size=3 * MIB, account="large")


@pytest.mark.postgres
@pytest.mark.parametrize("count", [1, 4])
def test_memory_rises_by_little_more_than_the_size_of_one(
    bucket: Bucket, migrated_postgres: str, count: int
) -> None:
    shards = {name: shard_of("terra", name) for name in ("", "a", "b", "c")}
    account = next(name for name in shards if shards[name] != shards[""])
    body = body_of("terra", size=48 * MIB, account=account)
    assert len(body) > 45 * MIB
    whole = in_pieces(pieces(body), size=len(body))
    bucket.answer = lambda: whole if len(bucket.asked) > 1 else web.Response(body=DAILY)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.pipeline.fetching"),
            *(str(bucket.port), str(bucket.trusted), str(count)),
        ],
        env={
            **os.environ,
            "DATABASE_URL": migrated_postgres,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cost = orjson.loads(done.stdout.splitlines()[-1])
    assert cost["ends"] == [["processed", ""]]
    assert cost["sizes"] == [len(body)] * count
    assert cost["rise"] < 1.3 * len(body)


@pytest.mark.parametrize("says_its_size", [True, False])
def test_it_is_asked_for_alone_and_stored_as_it_came(
    world: World, bucket: Bucket, large: bytes, *, says_its_size: bool
) -> None:
    size = len(large) if says_its_size else None
    bucket.answer = lambda: in_pieces(pieces(large), size=size)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error) == ("processed", "")
    found = payload()
    assert bytes(found.body or b"") == large
    assert (found.account_id, found.status) == ("large", "processed")
    assert len(bucket.asked) == 2


def test_each_is_stored_before_the_next_is_asked_for(
    world: World, bucket: Bucket, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ping(world) for _ in range(3)]
    bucket.answer = lambda: in_pieces(pieces(large), size=len(large))
    done: list[str] = []
    download, settle = downloads.download, payload_rows.settle

    async def downloading(*given: Any, **named: Any) -> bytes | None:
        body = await download(*given, **named)
        done.extend(["fetched"] if body is not None else [])
        return body

    def settling(items: Sequence[Item]) -> set[int]:
        done.extend("stored" for item in items if item.payload is not None)
        return settle(items)

    monkeypatch.setattr(payloads, "download", downloading)
    monkeypatch.setattr(payload_rows, "settle", settling)
    process_shard(shard=rows[0].shard, now=world.clock, budget_s=0)
    assert done == ["fetched", "stored"] * 3


@pytest.mark.parametrize("why", ["stopped", "late"])
def test_what_there_is_no_time_for_is_left_as_it_was(
    world: World,
    bucket: Bucket,
    large: bytes,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    rows = [ping(world) for _ in range(2)]

    def answer() -> Any:
        if len(bucket.asked) > 2:
            monkeypatch.setattr(payloads, "SECONDS", 0.0)
            if why == "stopped":
                stopping.ask()
        return in_pieces(pieces(large), size=len(large))

    bucket.answer = answer
    try:
        process_shard(shard=rows[0].shard, now=world.clock, budget_s=0)
    finally:
        stopping.forget()
    for row in rows:
        row.refresh_from_db()
    ends = [(row.status, row.unfinished, row.attempts) for row in rows]
    assert ends == [("processed", 0, 0), ("pending", 0, 0)]
    monkeypatch.undo()


def test_a_slow_payload_is_waited_for_as_long_as_it_comes(
    world: World, bucket: Bucket, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twelve pieces take longer than any silence may.
    monkeypatch.setattr(downloads, "SILENCE_S", 0.5)
    bucket.answer = lambda: in_pieces(pieces(large), size=len(large), every_s=0.08)
    assert run(world, ping(world)).status == "processed"
    assert len(pieces(large)) * 0.08 > downloads.SILENCE_S


@pytest.mark.parametrize("comes", ["nothing more", "too little", "without end"])
def test_a_payload_that_takes_too_long_is_asked_for_later(
    world: World,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    comes: str,
) -> None:
    monkeypatch.setattr(downloads, "SILENCE_S", 0.5)
    monkeypatch.setattr(downloads, "LONGEST_S", 1.0)
    first = [b" " * (MIB + 1)]
    answers = {
        "nothing more": in_pieces(first, every_s=60),
        "too little": in_pieces(itertools.repeat(b" "), every_s=0.05),
        "without end": in_pieces(itertools.repeat(b" " * _PIECE), every_s=0.1),
    }
    bucket.answer = lambda: answers[comes]
    began = time.monotonic()
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("retrying", "vendor_unavailable")
    assert time.monotonic() - began < 10
    assert not WebhookDelivery.objects.exclude(id=delivery.id).exists()


def test_the_lease_outlives_the_longest_download(
    world: World, bucket: Bucket, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.answer = lambda: in_pieces(pieces(large), size=len(large))
    delivery = ping(world)
    real, left = payloads._fetch_all, []

    def fetch_all(*given: Any, most: int | None, **named: Any) -> None:
        if most is None:
            lease = ShardLease.objects.get(step=LeaseStep.PROCESS, shard=delivery.shard)
            left.append((lease.until - world.now).total_seconds())
        real(*given, most=most, **named)

    monkeypatch.setattr(payloads, "_fetch_all", fetch_all)
    assert run(world, delivery).status == "processed"
    assert left == [LEASE_SECONDS + downloads.LONGEST_S]


def test_a_task_ends_before_its_time_is_up() -> None:
    """With five seconds for what is stored before and after the longest download."""
    small = payloads.SECONDS + downloads.SILENCE_S + 1
    longest = payloads.SECONDS + downloads.LONGEST_S
    assert max(small, longest) + 5 < settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert small < LEASE_SECONDS

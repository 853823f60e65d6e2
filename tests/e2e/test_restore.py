"""The drill of docs/deploy.md: a backup that is older than the topics comes back."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka.consumer.fetcher import ConsumerRecord

from auren.devstack.postgres import binaries
from tests.e2e.bodies import terra_sleep
from tests.e2e.stack import Stack, headers_of, running

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]
TOPICS = ("terra-biometric-events", "biometric-alerts")
# Which shard a person's messages lie in follows from an id that is drawn anew in
# each run: with so many people no shard stays empty (once in 2^23 runs).
PEOPLE = [f"restored-{number}" for number in range(24)]


class RestoredStack(Stack):
    """Few shards, so that each of them has published after the backup."""

    worker_children = 2

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "SHARDS": "2"}

    def tool(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own tools."""
        done = subprocess.run(
            [binaries() / name, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def end_processes(self) -> None:
        for name in ("beat", "worker", "web"):
            self.processes[name].kill9()

    def start_processes(self) -> None:
        self.start_web()
        self.start_worker()
        self.start_beat()

    def send_nights(self, *, ago: int) -> None:
        for number, person in enumerate(PEOPLE):
            body = terra_sleep(user_id=person, ago=ago, rmssd=40 + number)
            assert self.deliver("terra", body).status == 200

    def nothing_waits(self, *, except_stopped: bool = False) -> bool:
        stopped = "SELECT shard FROM biometrics_shardlease WHERE alarm <> ''"
        left_out = f"AND shard NOT IN ({stopped})" if except_stopped else ""
        query = (
            "SELECT (SELECT count(*) FROM biometrics_webhookdelivery"
            " WHERE status IN ('pending', 'retrying'))"
            " + (SELECT count(*) FROM biometrics_outboxmessage"
            f" WHERE status IN ('pending', 'in_batch') {left_out})"
        )
        return self.sql(query) == [(0,)]

    def alarms(self) -> list[int]:
        found = self.sql("SELECT shard FROM biometrics_shardlease WHERE alarm <> ''")
        return sorted(shard for (shard,) in found)


@pytest.fixture
def stack(services_dir: Path) -> Iterator[RestoredStack]:
    with running(RestoredStack, services_dir) as started:
        assert isinstance(started, RestoredStack)
        yield started


def ids(records: list[ConsumerRecord]) -> Counter[str]:
    return Counter(headers_of(record)["ce_id"] for record in records)


def sleeps(records: list[ConsumerRecord]) -> int:
    return sum(headers_of(r)["event_type"].startswith("sleep.") for r in records)


def test_a_restore_publishes_nothing_twice(
    stack: RestoredStack, tmp_path: Path
) -> None:
    dump, url = tmp_path / "auren.dump", stack.postgres.url
    stack.send_nights(ago=3)
    stack.until(stack.nothing_waits, "the first nights are published")
    # What is stored and not yet processed is published after the backup.
    for name in ("beat", "worker"):
        stack.processes[name].kill9()
    stack.send_nights(ago=2)
    backed_up = datetime.now(tz=UTC).isoformat()
    stack.tool("pg_dump", "--format=custom", f"--file={dump}", url)
    stack.start_worker()
    stack.start_beat()
    stack.until(stack.nothing_waits, "the second nights are published")
    before = ids(
        stack.records(*TOPICS, enough=lambda rs: sleeps(rs) == 2 * len(PEOPLE))
    )

    stack.end_processes()
    stack.tool(
        "pg_restore",
        "--clean",
        "--if-exists",
        "--no-owner",
        f"--dbname={url}",
        str(dump),
    )
    assert "No migrations to apply" in stack.manage("migrate")
    stack.start_processes()
    stack.send_nights(ago=1)
    stack.until(lambda: stack.alarms() == [0, 1], "both shards are stopped")
    stack.until(lambda: stack.nothing_waits(except_stopped=True), "all is processed")
    status = stack.manage("outbox", "status")
    assert status.count("the database was restored from a backup") == 2
    assert "docs/deploy.md, Restore" in status
    assert (
        ids(stack.records(*TOPICS, enough=lambda rs: sleeps(rs) == 2 * len(PEOPLE)))
        == before
    )

    compared = stack.manage(
        *("outbox", "compare", "--since", backed_up),
        *("--apply", "--reason", "restore drill"),
    )
    waiting = re.findall(r"(\d+) wait, (\d+) of them are in Kafka", compared)
    assert sum(int(found) for _, found in waiting) >= len(PEOPLE)
    steps = re.findall(r"--shard (\d) --open-batch (\w+)", compared)
    assert [shard for shard, _ in steps] == ["0", "1"]
    for shard, verdict in steps:
        stack.manage(
            *("outbox", "resume", "--shard", shard, "--open-batch", verdict),
            *("--reason", "restore drill"),
        )
    stack.until(stack.nothing_waits, "all is published")
    assert stack.alarms() == []
    after = ids(stack.records(*TOPICS, enough=lambda rs: sleeps(rs) >= 3 * len(PEOPLE)))
    assert [ce_id for ce_id, times in after.items() if times > 1] == []
    assert before.keys() < after.keys()
    assert sum(after.values()) >= 3 * len(PEOPLE)

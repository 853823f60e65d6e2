"""Notes when each delivery's record became visible to a read_committed consumer.

    python -m tests.bench.paced.watch BOOTSTRAP SECONDS FILE

Starts at the end of the topic, says "ready", and ends when as many records have come as
FILE.expected says, which is written once that is known, or SECONDS have gone by. One line
a record: its mark, and the system's monotonic clock.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson
from kafka import KafkaConsumer, TopicPartition

TOPIC = "terra-biometric-events"


def mark_of(value: bytes) -> str:
    """Return the uuid that the record's id ends with."""
    return str(orjson.loads(value)["record"]["id"])[-36:]


def expected(file: Path) -> Path:
    """Return where the number of records to wait for is written."""
    return file.with_suffix(".expected")


def read(file: Path) -> dict[str, float]:
    """Return what a run has written: when each mark was seen first."""
    seen: dict[str, float] = {}
    for line in file.read_text().splitlines():
        mark, at = line.split()
        seen.setdefault(mark, float(at))
    return seen


def main() -> None:
    bootstrap, seconds, file = sys.argv[1:]
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    numbers = sorted(consumer.partitions_for_topic(TOPIC) or ())
    parts = [TopicPartition(TOPIC, number) for number in numbers]
    consumer.assign(parts)
    consumer.seek_to_end()
    for part in parts:
        consumer.position(part)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    deadline = time.monotonic() + float(seconds)
    lines: list[str] = []
    count = expected(Path(file))
    while time.monotonic() < deadline:
        if count.exists() and len(lines) >= int(count.read_text()):
            break
        for batch in consumer.poll(timeout_ms=20).values():
            now = time.monotonic()
            lines += [f"{mark_of(record.value)} {now}" for record in batch]
    consumer.close()
    Path(file).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

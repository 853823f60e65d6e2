"""Print what reaches Kafka, as any consumer would see it: ``manage.py consume``."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.vendors.registry import all_adapters

_POLL_MS = 500


class Command(BaseCommand):
    help = (
        "Print records from Kafka, only what is committed. Without --from-beginning: "
        "what arrives from now on, until Ctrl-C."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--topic",
            action="append",
            help="a topic to read; may be repeated (default: all of the bridge's)",
        )
        parser.add_argument(
            "--from-beginning",
            action="store_true",
            help="print what is there and stop, unless --follow is given",
        )
        parser.add_argument(
            "--follow", action="store_true", help="go on with what arrives later"
        )
        parser.add_argument("--max", type=int, help="stop after so many records")
        parser.add_argument(
            "--json", action="store_true", help="one JSON object for each record"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print until the end, --max or Ctrl-C."""
        topics = options["topic"] or bridge_topics()
        show = _as_json if options["json"] else _as_text
        consumer = _connect()
        try:
            _assign(consumer, topics=topics, rewind=options["from_beginning"])
            follow = options["follow"] or not options["from_beginning"]
            for number, record in enumerate(_records(consumer, follow=follow), start=1):
                self.stdout.write(show(record))
                self.stdout.flush()
                if number == options["max"]:
                    break
        except KeyboardInterrupt:
            self.stderr.write("")
        finally:
            consumer.close()


def bridge_topics() -> list[str]:
    """Name the topics for consumers: every vendor's, and the alerts'."""
    topics = {adapter.topic for adapter in all_adapters()}
    return sorted({*topics, settings.KAFKA_ALERT_TOPIC})


def _connect() -> KafkaConsumer:
    options = KafkaConfig.from_settings().client_options()
    servers = ",".join(settings.KAFKA_BOOTSTRAP_SERVERS)
    try:
        # First without the client, which leaves its sockets open when it gives up.
        _await_any_server()
        return KafkaConsumer(
            **{**options, "client_id": "auren-consume"},
            # The client's default shows records of aborted transactions as well.
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
    except (OSError, KafkaError) as error:
        msg = (
            f"No broker answers at {servers}: start make run, or set "
            "KAFKA_BOOTSTRAP_SERVERS to the cluster that the bridge writes to."
        )
        raise CommandError(msg) from error


def _await_any_server() -> None:
    """Return when one of the bootstrap servers accepts; OSError when none does."""
    last = OSError("KAFKA_BOOTSTRAP_SERVERS is empty")
    for server in settings.KAFKA_BOOTSTRAP_SERVERS:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
        except OSError as error:
            last = error
        else:
            return
    raise last


def _assign(consumer: KafkaConsumer, *, topics: Sequence[str], rewind: bool) -> None:
    partitions = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            msg = f"Topic {topic} does not exist: run manage.py kafka_topics."
            raise CommandError(msg)
        partitions += [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    if rewind:
        consumer.seek_to_beginning()
    else:
        consumer.seek_to_end()
        # Resolved now: what is sent after this moment counts as new.
        for partition in partitions:
            consumer.position(partition)


def _records(consumer: KafkaConsumer, *, follow: bool) -> Iterator[Any]:
    """Yield records by time within each fetch; each partition keeps its order."""
    ends = {} if follow else consumer.end_offsets(list(consumer.assignment()))
    while follow or any(consumer.position(p) < end for p, end in ends.items()):
        fetched = consumer.poll(timeout_ms=_POLL_MS)
        batch = [record for records in fetched.values() for record in records]
        # A stable sort: equal times stay in the order of their partition.
        yield from sorted(batch, key=lambda record: int(record.timestamp))


def _headers(record: Any) -> dict[str, str]:
    return {name: _text(value) for name, value in record.headers}


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", errors="backslashreplace")


def _value(record: Any) -> Any:
    if record.value is None:
        return None
    try:
        return json.loads(record.value)
    except ValueError:
        return _text(record.value)


def _place(record: Any) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
    }


def _as_json(record: Any) -> str:
    shown: Mapping[str, Any] = {
        **_place(record),
        "key": _text(record.key),
        "headers": _headers(record),
        "value": _value(record),
    }
    return json.dumps(shown, ensure_ascii=False)


def _as_text(record: Any) -> str:
    lines = [f"{record.topic}[{record.partition}]@{record.offset}"]
    lines.append(f"  key      {_text(record.key)}")
    headers = _headers(record)
    width = max((len(name) for name in headers), default=0)
    lines += [f"  {name:<{width}}  {value}" for name, value in headers.items()]
    pretty = json.dumps(_value(record), indent=2, ensure_ascii=False)
    lines += [f"  {line}" for line in pretty.splitlines()]
    return "\n".join([*lines, ""])

"""What `manage.py consume` shows of a topic."""

from __future__ import annotations

import io
import json
import threading
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from kafka import KafkaProducer

from tests.services import MakeTopic

HEADERS = [("ce_type", b"auren.biometric.sleep.created.v1"), ("priority", b"HIGH")]


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    return make_topic(partitions=2)


def consume(kafka: str, *arguments: str) -> str:
    out = io.StringIO()
    with override_settings(KAFKA_BOOTSTRAP_SERVERS=[kafka]):
        call_command("consume", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def consume_json(kafka: str, *arguments: str) -> list[dict[str, Any]]:
    lines = consume(kafka, *arguments, "--json").splitlines()
    return [json.loads(line) for line in lines]


def send(kafka: str, *, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    try:
        for value in values:
            producer.send(topic, value, key=b"subject", headers=HEADERS).get(10)
    finally:
        producer.close()


def test_key_headers_and_value_are_readable(kafka: str, topic: str) -> None:
    value = {"subject": "s", "readings": [{"value": 38, "unit": "ms", "note": "é"}]}
    send(kafka, topic=topic, values=[json.dumps(value).encode()])

    (record,) = consume_json(kafka, "--topic", topic, "--from-beginning")
    assert record["key"] == "subject"
    assert record["headers"] == {k: v.decode() for k, v in HEADERS}
    assert record["value"] == value
    assert record["topic"] == topic

    text = consume(kafka, "--topic", topic, "--from-beginning")
    assert "subject" in text
    assert "HIGH" in text
    assert '"unit": "ms"' in text
    assert "é" in text


@pytest.mark.parametrize("value", [b"\xff not JSON", None])
def test_any_bytes_can_be_shown(kafka: str, topic: str, value: bytes) -> None:
    send(kafka, topic=topic, values=[value])
    (record,) = consume_json(kafka, "--topic", topic, "--from-beginning")
    assert record["value"] == (value and "\\xff not JSON")


def test_max_ends_it(kafka: str, topic: str) -> None:
    send(kafka, topic=topic, values=[b"1", b"2", b"3"])
    records = consume_json(kafka, "--topic", topic, "--from-beginning", "--max", "2")
    assert [record["value"] for record in records] == [1, 2]


def test_an_empty_topic_is_the_end(kafka: str, topic: str) -> None:
    assert consume(kafka, "--topic", topic, "--from-beginning") == ""


def test_aborted_transactions_are_not_shown(kafka: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b'"aborted"', partition=0).get(10)
    producer.abort_transaction()
    producer.begin_transaction()
    producer.send(topic, b'"committed"', partition=0).get(10)
    producer.commit_transaction()
    producer.close()

    records = consume_json(kafka, "--topic", topic, "--from-beginning")
    assert [record["value"] for record in records] == ["committed"]


def test_from_now_on_leaves_out_what_was_there(kafka: str, topic: str) -> None:
    send(kafka, topic=topic, values=[b'"before"'])
    stop = threading.Event()

    def keep_sending() -> None:
        while not stop.is_set():
            send(kafka, topic=topic, values=[b'"after"'])

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        records = consume_json(kafka, "--topic", topic, "--max", "3")
    finally:
        stop.set()
        sender.join()
    assert [record["value"] for record in records] == ["after"] * 3


def test_an_unknown_topic_is_named(kafka: str) -> None:
    with pytest.raises(CommandError, match="no-such-topic does not exist"):
        consume(kafka, "--topic", "no-such-topic")


def test_without_broker_it_says_what_to_start() -> None:
    with pytest.raises(CommandError, match=r"No broker answers at 127\.0\.0\.1:1"):
        consume("127.0.0.1:1", "--topic", "any")

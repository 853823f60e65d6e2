"""Waiting for a record, as `doctor --roundtrip` does: what cannot come is said at once."""

from __future__ import annotations

import time

import pytest

from biometrics.publishing.producers import UnreachableError
from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.publishing.producers.kafka_reader import Tail
from tests.publishing.clusters import kafka_config
from tests.services import MakeTopic

pytestmark = pytest.mark.kafka


def of(kafka: str) -> KafkaConfig:
    return kafka_config(kafka, progress_topic="unused")


def test_a_topic_that_is_missing_is_named_with_what_to_do(
    kafka: str, make_topic: MakeTopic
) -> None:
    topics = [make_topic(), "no-such-topic"]
    for wanted in (topics, topics[1:]):
        with pytest.raises(
            UnreachableError, match=r"no-such-topic\. Run manage\.py kafka_topics"
        ):
            Tail(topics=wanted, config=of(kafka))


def test_what_does_not_come_is_waited_for_until_the_deadline(
    kafka: str, make_topic: MakeTopic
) -> None:
    tail = Tail(topics=[make_topic()], config=of(kafka))
    try:
        deadline = time.monotonic() + 0.2
        assert tail.find(header=("traceparent", b"x"), deadline=deadline) is None
        assert time.monotonic() >= deadline
    finally:
        tail.close()

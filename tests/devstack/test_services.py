"""The embedded services do what the tests of everything else rely on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from auren.devstack import services
from auren.devstack.kafka import EmbeddedKafka
from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import (
    ServiceError,
    process_state,
)
from auren.devstack.services import HOST, answers, free_port, port_is_free
from auren.devstack.valkey import EmbeddedValkey
from tests.services import MakeTopic, create_topic


def read_all(bootstrap_servers: str, *, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    try:
        partitions = consumer.partitions_for_topic(topic) or set()
        consumer.assign([TopicPartition(topic, number) for number in partitions])
        ends = consumer.end_offsets(consumer.assignment())
        wanted = sum(ends.values())
        found: list[bytes] = []
        while len(found) < wanted:
            batches = consumer.poll(timeout_ms=1000)
            if not batches:
                break
            found.extend(r.value for records in batches.values() for r in records)
        return found
    finally:
        consumer.close()


def send(bootstrap_servers: str, *, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    try:
        futures = [producer.send(topic, value) for value in values]
        producer.flush(timeout=10)
        assert all(future.succeeded() for future in futures)
    finally:
        producer.close()


class TestValkey:
    def test_each_test_gets_an_empty_database(
        self, redis_url: str, valkey: str
    ) -> None:
        with redis.Redis.from_url(redis_url) as mine, redis.Redis.from_url(valkey) as o:
            assert mine.dbsize() == 0
            mine.set("only", "mine")
            assert o.get("only") is None

    def test_forgets_everything_when_killed(self, own_valkey: EmbeddedValkey) -> None:
        port = own_valkey.port
        with redis.Redis.from_url(own_valkey.url) as client:
            client.set("key", "value")
            own_valkey.kill9()
            own_valkey.start()

            assert own_valkey.port == port
            assert client.get("key") is None

    def test_keeps_its_data_over_an_orderly_restart_when_told_to(
        self, services_dir: Path
    ) -> None:
        data_dir = services_dir / uuid.uuid4().hex
        with (
            EmbeddedValkey(data_dir=data_dir, persist=True) as server,
            redis.Redis.from_url(server.url) as client,
        ):
            client.set("key", "value")
            server.stop()
            server.start()
            assert client.get("key") == b"value"

    def test_frozen_it_answers_nothing_until_it_is_resumed(
        self, own_valkey: EmbeddedValkey
    ) -> None:
        own_valkey.pause()
        assert not answers(own_valkey.port, question=b"PING\r\n", answer=b"+PONG\r\n")
        own_valkey.resume()
        assert answers(own_valkey.port, question=b"PING\r\n", answer=b"+PONG\r\n")

    def test_a_taken_port_is_an_error_with_its_last_words(
        self, own_valkey: EmbeddedValkey, services_dir: Path
    ) -> None:
        second = EmbeddedValkey(
            data_dir=services_dir / uuid.uuid4().hex, port=own_valkey.port
        )
        with pytest.raises(ServiceError, match="in use"):
            second.start()
        assert not second.running

    def test_a_port_lost_to_another_process_is_replaced(
        self,
        own_valkey: EmbeddedValkey,
        services_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        found = iter([own_valkey.port, free_port()])
        monkeypatch.setattr(services, "free_port", lambda: next(found))
        with EmbeddedValkey(data_dir=services_dir / uuid.uuid4().hex) as second:
            assert second.port != own_valkey.port


class TestKafka:
    def test_records_and_topics_survive_kill9(self, own_kafka: EmbeddedKafka) -> None:
        servers = own_kafka.bootstrap_servers
        create_topic(servers, name="kept", partitions=2)
        values = [str(number).encode() for number in range(50)]
        send(servers, topic="kept", values=values)

        own_kafka.kill9()
        own_kafka.start()

        assert own_kafka.bootstrap_servers == servers
        assert sorted(read_all(servers, topic="kept")) == sorted(values)

    def test_a_transaction_is_seen_only_when_committed(
        self, kafka: str, make_topic: MakeTopic
    ) -> None:
        topic = make_topic(partitions=1)
        producer = KafkaProducer(
            bootstrap_servers=kafka, transactional_id=uuid.uuid4().hex
        )
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"aborted").get(10)
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send(topic, b"committed").get(10)
        producer.commit_transaction()
        producer.close()

        assert read_all(kafka, topic=topic) == [b"committed"]

    def test_makes_no_topic_by_itself(self, kafka: str) -> None:
        name = f"never-{uuid.uuid4().hex}"
        consumer = KafkaConsumer(bootstrap_servers=kafka)
        try:
            assert not consumer.partitions_for_topic(name)
            assert name not in consumer.topics()
        finally:
            consumer.close()


class TestPostgres:
    def test_each_test_gets_an_empty_database(
        self, make_database: Callable[[], str]
    ) -> None:
        one, other = make_database(), make_database()
        connection = psycopg2.connect(one)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE here (id int)")
        connection.close()
        connection = psycopg2.connect(other)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('here')")
            assert cursor.fetchone() == (None,)
        connection.close()

    def test_keeps_what_it_acknowledged_when_killed(
        self, own_postgres: TemporaryPostgres
    ) -> None:
        own_postgres.execute("CREATE TABLE kept AS SELECT 7 AS number")
        own_postgres.kill9()
        own_postgres.start()
        connection = psycopg2.connect(own_postgres.url)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM kept")
            assert cursor.fetchone() == (7,)
        connection.close()

    def test_frozen_it_lets_open_connections_wait(
        self, own_postgres: TemporaryPostgres
    ) -> None:
        backend = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        connection = psycopg2.connect(own_postgres.url)
        with connection, connection.cursor() as cursor:
            cursor.execute(backend)
            (pid,) = cursor.fetchone() or (0,)
            own_postgres.pause()
            try:
                assert process_state(pid) == "T"
            finally:
                own_postgres.resume()
            cursor.execute("SELECT 1")
        connection.close()


class TestPorts:
    def test_a_port_in_use_is_not_free(self, own_valkey: EmbeddedValkey) -> None:
        assert not port_is_free(own_valkey.port)

    def test_ports_lie_below_those_that_clients_are_given(self) -> None:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert free_port() < low
        assert HOST == "127.0.0.1"

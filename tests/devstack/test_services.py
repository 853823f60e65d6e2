"""The embedded services do what the tests of everything else rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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
    ManagedProcess,
    ServiceError,
    process_state,
    process_tree,
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
            server.restart()
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


def alive(pid: int) -> bool:
    return process_state(pid) not in "ZX"


def gone_within(pids: list[int], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


SLEEPER = "import signal, sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
WITH_CHILD = (
    "import subprocess, sys, time;"
    f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]);"
    "print('child', child.pid, flush=True); time.sleep(600)"
)


def python(code: str) -> ManagedProcess:
    return ManagedProcess(name="child", argv=[sys.executable, "-c", code])


class TestManagedProcess:
    def test_one_that_ignores_sigterm_is_killed(self) -> None:
        process = python(STUBBORN)
        process.wait_for_line("up", timeout=10)
        process.stop(timeout=0.2)
        assert process.returncode == -signal.SIGKILL

    def test_its_children_end_with_it(self) -> None:
        process = python(WITH_CHILD)
        process.wait_for_line("child", timeout=10)
        process.wait_for_line("up", timeout=10)
        tree = process_tree(process.pid)
        assert len(tree) == 2
        # The parent alone, as an out-of-memory kill would.
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(timeout=5)
        assert gone_within(tree, seconds=5)

    def test_a_frozen_one_can_be_stopped(self) -> None:
        process = python(SLEEPER)
        process.wait_for_line("up", timeout=10)
        process.pause()
        assert process_state(process.pid) == "T"
        process.stop(timeout=5)
        assert process.returncode == -signal.SIGTERM

    def test_waiting_for_words_that_never_come_says_what_came(self) -> None:
        process = python("print('something else')")
        with pytest.raises(ServiceError, match="something else"):
            process.wait_for_line("up", timeout=10)

    @pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
    def test_nothing_is_left_when_its_parent_dies(
        self, tmp_path: Path, signum: int
    ) -> None:
        parent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, threading, time\n"
                "from auren.devstack.process import ManagedProcess\n"
                f"argv = [sys.executable, '-c', {WITH_CHILD!r}]\n"
                # From a thread that ends: a parent-death signal would fire at once.
                "def start():\n"
                "    global child\n"
                "    child = ManagedProcess(name='child', argv=argv)\n"
                "thread = threading.Thread(target=start)\n"
                "thread.start(); thread.join()\n"
                "child.wait_for_line('up', timeout=10)\n"
                "print(child.pid, flush=True)\n"
                "time.sleep(600)\n",
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        with parent:
            assert parent.stdout is not None
            tree = process_tree(int(parent.stdout.readline()))
            assert len(tree) == 2
            assert all(alive(pid) for pid in tree)
            parent.send_signal(signum)

        assert gone_within(tree, seconds=6)


class TestPorts:
    def test_a_port_in_use_is_not_free(self, own_valkey: EmbeddedValkey) -> None:
        assert not port_is_free(own_valkey.port)

    def test_ports_lie_below_those_that_clients_are_given(self) -> None:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert free_port() < low
        assert HOST == "127.0.0.1"

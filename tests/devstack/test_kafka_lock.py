"""Kafka's committed lock, and the ids of its clusters."""

from __future__ import annotations

from auren.devstack import kafka_jars
from auren.devstack.kafka import new_cluster_id


def test_the_lock_names_the_version_that_is_asked_for() -> None:
    version = kafka_jars.ENDPOINT.split("+")[0].rpartition(":")[2]
    kafka = {jar.artifact: jar.version for jar in kafka_jars.locked_jars()}
    assert kafka["kafka_2.13"] == kafka["kafka-clients"] == version
    assert "log4j-slf4j-impl" in kafka


def test_every_jar_has_its_checksum_and_no_address() -> None:
    jars = kafka_jars.locked_jars()
    assert len(jars) >= 40
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert "://" not in kafka_jars.LOCK_FILE.read_text()


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    ids = {new_cluster_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(one) for one in ids} == {22}
    assert not any(one.startswith("-") for one in ids)

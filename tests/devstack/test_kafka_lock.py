"""The committed lock of Kafka's jars."""

from __future__ import annotations

from auren.devstack import kafka_jars


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

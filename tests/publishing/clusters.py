"""The cluster under test, made from the settings in effect."""

from __future__ import annotations

from dataclasses import replace

from biometrics.publishing.producers.kafka_config import KafkaConfig


def kafka_config(servers: str, *, progress_topic: str) -> KafkaConfig:
    """Return the configuration for the tests' broker."""
    return replace(
        KafkaConfig.from_settings(),
        bootstrap_servers=tuple(servers.split(",")),
        progress_topic=progress_topic,
    )

"""Which topics there must be, and how they must look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from biometrics.vendors.registry import all_adapters

# Key and headers beside a value that is as long as it may be.
_RECORD_OVERHEAD = 65_536
_BROKER_DEFAULT_BYTES = 1_048_588


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic that the bridge writes to.

    `may_grow` says that partitions can be added: of a topic with keys they may not, the
    records of one person would then lie in two partitions. `config` is what a new topic
    gets and any topic must have; `at_least` are lower limits for any topic.
    """

    name: str
    partitions: int
    replication_factor: int
    may_grow: bool = False
    config: Mapping[str, str] = field(default_factory=dict)
    at_least: Mapping[str, int] = field(default_factory=dict)


def declared() -> list[TopicSpec]:
    """Return the topics of events and alerts: each vendor's adapter declares its own."""
    names = {adapter.topic for adapter in all_adapters()} | {settings.KAFKA_ALERT_TOPIC}
    longest = settings.KAFKA_MAX_EVENT_BYTES + _RECORD_OVERHEAD
    config = _durable()
    if longest > _BROKER_DEFAULT_BYTES:
        config["max.message.bytes"] = str(longest)
    return [
        TopicSpec(
            name=name,
            partitions=settings.KAFKA_PARTITIONS,
            replication_factor=settings.KAFKA_REPLICATION_FACTOR,
            config=config,
            at_least={"max.message.bytes": longest, **_in_sync()},
        )
        for name in sorted(names)
    ]


def progress() -> TopicSpec:
    """Return the topic whose partitions the shards' progress is bound to.

    Nothing is ever written to it; it must exist, with a partition for each shard.
    """
    return TopicSpec(
        name=settings.KAFKA_PROGRESS_TOPIC,
        partitions=settings.SHARDS,
        replication_factor=settings.KAFKA_REPLICATION_FACTOR,
        may_grow=True,
        config={"cleanup.policy": "compact", **_durable()},
        at_least=_in_sync(),
    )


def required() -> list[TopicSpec]:
    """Return every topic that must exist before the relay can work."""
    return [*declared(), progress()]


def _durable() -> dict[str, str]:
    if settings.KAFKA_REPLICATION_FACTOR < 3:
        return {}
    return {"min.insync.replicas": "2"}


def _in_sync() -> dict[str, int]:
    # More is safer still, if less available.
    return {name: int(value) for name, value in _durable().items()}

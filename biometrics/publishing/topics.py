"""Which topics there must be, and how they must look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from biometrics.vendors.registry import all_adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic that the bridge writes to; `partitions` is a minimum for progress only."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


def declared() -> list[TopicSpec]:
    """Return the topics of events and alerts: each vendor's adapter declares its own."""
    names = {adapter.topic for adapter in all_adapters()} | {settings.KAFKA_ALERT_TOPIC}
    return [
        TopicSpec(
            name=name,
            partitions=settings.KAFKA_PARTITIONS,
            replication_factor=settings.KAFKA_REPLICATION_FACTOR,
            config=_durable(),
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
        config={"cleanup.policy": "compact", **_durable()},
    )


def _durable() -> dict[str, str]:
    if settings.KAFKA_REPLICATION_FACTOR < 3:
        return {}
    return {"min.insync.replicas": "2"}

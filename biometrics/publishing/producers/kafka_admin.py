"""Creating topics and looking at those that exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from biometrics.errors import PublishError
from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.publishing.topics import TopicSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as the cluster has it."""

    name: str
    partitions: int
    replication_factor: int


class KafkaTopics:
    """The topics of the cluster behind KAFKA_BOOTSTRAP_SERVERS; a context manager."""

    def __init__(self, config: KafkaConfig | None = None) -> None:
        options = (config or KafkaConfig.from_settings()).client_options()
        try:
            self._admin = KafkaAdminClient(**options)
        except (KafkaError, OSError) as error:
            message = (
                "Kafka does not answer; check KAFKA_BOOTSTRAP_SERVERS and"
                f" KAFKA_SECURITY_* ({type(error).__name__})."
            )
            raise PublishError(message) from error

    def __enter__(self) -> KafkaTopics:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._admin.close()

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics; one that somebody else just created is fine."""
        for spec in specs:
            topic = NewTopic(
                name=spec.name,
                num_partitions=spec.partitions,
                replication_factor=spec.replication_factor,
                topic_configs=dict(spec.config),
            )
            try:
                self._admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue
            except KafkaError as error:
                message = f"Topic {spec.name}: {type(error).__name__}: {error}"
                raise PublishError(message) from error

    def existing(self, names: Sequence[str]) -> dict[str, TopicState]:
        """Return those of the named topics that exist."""
        known = set(self._admin.list_topics()) & set(names)
        if not known:
            return {}
        return {
            described["name"]: TopicState(
                name=described["name"],
                partitions=len(described["partitions"]),
                replication_factor=min(
                    len(partition["replica_nodes"])
                    for partition in described["partitions"]
                ),
            )
            for described in self._admin.describe_topics(sorted(known))
        }

"""Creating the topics that the bridge writes to, and checking how they look."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from biometrics.publishing.producers import UnreachableError
from biometrics.publishing.producers.connecting import closed_on_failure
from biometrics.publishing.producers.kafka_config import KafkaConfig
from biometrics.publishing.producers.kafka_errors import Meaning, meaning_of, translated
from biometrics.publishing.topics import TopicSpec

_NO_ERROR = 0
_ALREADY_EXISTS = 36
_READY_MS = 10_000


def create_missing(
    *, specs: Sequence[TopicSpec], config: KafkaConfig | None = None
) -> list[str]:
    """Create topics that are not there, add missing partitions where that is harmless.

    Returns what was done. Safe to run at every start and from several hosts at once.
    Raises UnreachableError or MisconfiguredError.
    """
    done = []
    with _admin(config) as admin:
        found = _described(admin, specs)
        for spec in specs:
            partitions = found.get(spec.name)
            if partitions is None:
                if _create(admin, spec):
                    done.append(f"{spec.name}: created")
            elif spec.may_grow and len(partitions) < spec.partitions:
                admin.create_partitions({spec.name: spec.partitions})
                done.append(f"{spec.name}: {spec.partitions} partitions")
    return done


def problems(
    *,
    specs: Sequence[TopicSpec],
    config: KafkaConfig | None = None,
    patience_s: float = 0.0,
) -> list[str]:
    """Return in what the topics differ from what the bridge needs; nothing is changed.

    `patience_s` is for topics that were just made: each broker learns of them in its
    own time, and any of them may be asked.
    """
    deadline = time.monotonic() + patience_s
    while (found := _found(specs, config)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _found(specs: Sequence[TopicSpec], config: KafkaConfig | None) -> list[str]:
    with _admin(config) as admin:
        found = _described(admin, specs)
        return [
            problem
            for spec in specs
            for problem in _problems(admin, spec, found.get(spec.name))
        ]


def _problems(
    admin: KafkaAdminClient, spec: TopicSpec, partitions: Sequence[Any] | None
) -> Iterator[str]:
    if partitions is None:
        yield f"{spec.name} does not exist; run manage.py kafka_topics."
        return
    if spec.may_grow and len(partitions) < spec.partitions:
        yield (
            f"{spec.name} has {len(partitions)} partitions, but SHARDS is "
            f"{spec.partitions}; run manage.py kafka_topics."
        )
    fewest = min(len(partition["replica_nodes"]) for partition in partitions)
    if fewest < spec.replication_factor:
        yield (
            f"{spec.name} has {fewest} replicas, KAFKA_REPLICATION_FACTOR is "
            f"{spec.replication_factor}; reassign its partitions."
        )
    yield from _config_problems(spec, _config_of(admin, spec.name))


def _config_problems(spec: TopicSpec, effective: Mapping[str, str]) -> Iterator[str]:
    for name, wanted in spec.config.items():
        if name not in spec.at_least and effective.get(name) != wanted:
            yield (
                f"{spec.name} has {name}={effective.get(name)}, {wanted} is needed; "
                "alter the topic's configuration."
            )
    for name, least in spec.at_least.items():
        if int(effective.get(name, 0)) < least:
            yield (
                f"{spec.name} has {name}={effective.get(name)}, at least {least} is "
                "needed; alter the topic's configuration."
            )


def _create(admin: KafkaAdminClient, spec: TopicSpec) -> bool:
    """Create one topic; False when somebody else was quicker."""
    answer = admin.create_topics(
        {
            spec.name: {
                "num_partitions": spec.partitions,
                "replication_factor": spec.replication_factor,
                "configs": dict(spec.config),
            }
        },
        raise_errors=False,
    )
    (topic,) = answer["topics"]
    if topic["error_code"] not in {_NO_ERROR, _ALREADY_EXISTS}:
        message = f"Kafka did not create {spec.name}: {topic['error_message']}"
        raise UnreachableError(message)
    admin.wait_for_topics([spec.name], timeout_ms=_READY_MS)
    return bool(topic["error_code"] == _NO_ERROR)


def _described(
    admin: KafkaAdminClient, specs: Sequence[TopicSpec]
) -> dict[str, Sequence[Any]]:
    described = admin.describe_topics([spec.name for spec in specs])
    return {
        topic["name"]: topic["partitions"]
        for topic in described
        if topic["error_code"] == _NO_ERROR
    }


def _config_of(admin: KafkaAdminClient, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    answer = admin.describe_configs([resource], config_filter="all")
    return {name: entry["value"] for name, entry in answer["topic"][topic].items()}


@contextmanager
def _admin(config: KafkaConfig | None) -> Iterator[KafkaAdminClient]:
    options = (config or KafkaConfig.from_settings()).client_options()
    admin = None
    try:
        with closed_on_failure() as connect:
            admin = KafkaAdminClient(**options, kafka_client=connect)
        yield admin
    except KafkaError as error:
        if meaning_of(error) is Meaning.MISCONFIGURED:
            raise translated(error, doing="managing topics") from error
        message = (
            f"Kafka at {', '.join(options['bootstrap_servers'])} did not answer: "
            f"{type(error).__name__}. Check KAFKA_BOOTSTRAP_SERVERS."
        )
        raise UnreachableError(message) from error
    finally:
        if admin is not None:
            admin.close()

"""Every topic that the bridge writes to, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from biometrics.publishing import topics
from biometrics.publishing.event_types import EVENT_TYPES
from biometrics.vendors.registry import all_adapters

_HEAD = """# Topics

Made by `manage.py reference` from the code. `manage.py kafka_topics` creates them and `kafka_topics --check` compares; a
production bridge does not start while one is missing or weaker than this. Values and headers are in
[contract/](contract/asyncapi.json), how to read them in [contract.md](contract.md).

| topic | holds | key | partitions | replicas | settings |
|---|---|---|---|---|---|
"""
_TAIL = """
With three replicas or more every topic has `min.insync.replicas=2`. Partitions of a topic with keys are never added: a
person's records would then lie in two of them.

## Event types

The header `ce_type` of each record, by the kind of its value. Consumers skip those that they do not know.

"""


def page() -> str:
    """Return docs/topics.md."""
    return _HEAD + "\n".join([*_rows(), _TAIL, *_types(), ""])


def _rows() -> Iterator[str]:
    for spec in topics.declared():
        limit = f"`max.message.bytes` at least {spec.at_least['max.message.bytes']}"
        yield (
            f"| `{spec.name}` | {_held(spec.name)} | the person's id | "
            f"`KAFKA_PARTITIONS` | `KAFKA_REPLICATION_FACTOR` | {limit} |"
        )
    progress = topics.progress()
    yield (
        f"| `{progress.name}` | nothing; the shards' progress is bound to its partitions "
        f"| | `SHARDS` | `KAFKA_REPLICATION_FACTOR` | "
        f"`cleanup.policy={progress.config['cleanup.policy']}` |"
    )


def _held(topic: str) -> str:
    if topic == settings.KAFKA_ALERT_TOPIC:
        return "alerts: raised, upgraded, downgraded, retracted, resolved"
    titles = [adapter.title for adapter in all_adapters() if adapter.topic == topic]
    return f"what {', '.join(titles)} said of people"


def _types() -> Iterator[str]:
    for kind, names in EVENT_TYPES.items():
        yield f"**{kind}**: {', '.join(f'`{name}`' for name in names)}\n"

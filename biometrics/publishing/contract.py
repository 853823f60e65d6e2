"""The contract as files: one JSON Schema each, and an AsyncAPI 3 document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from biometrics.publishing.event_types import EVENT_TYPES
from biometrics.publishing.examples import Example, examples
from biometrics.publishing.schemas import header_schema, schemas

# Version of the contract, not of the bridge. The first number is raised by a change that
# breaks consumers, the second by what is added, the third by words and examples.
VERSION: Final = "1.0.0"
ASYNCAPI: Final = "asyncapi.json"


def files(
    *, event_topics: Sequence[str], alert_topic: str, limits_of_use: str
) -> dict[str, str]:
    """Return the contract's files by name.

    `limits_of_use` says to consumers what alerts are not for.
    """
    shown = examples(event_topic=min(event_topics), alert_topic=alert_topic)
    documents: dict[str, Mapping[str, Any]] = {
        f"{name}.v1.schema.json": {
            **schema,
            "examples": [example.value for example in shown[name]],
        }
        for name, schema in schemas().items()
    }
    document = _asyncapi(event_topics, alert_topic, shown)
    document["components"]["messages"]["hrv-alert"]["description"] = limits_of_use
    documents[ASYNCAPI] = document
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def _asyncapi(
    event_topics: Sequence[str],
    alert_topic: str,
    shown: Mapping[str, Sequence[Example]],
) -> dict[str, Any]:
    on_events = [name for name in EVENT_TYPES if name != "hrv-alert"]
    channels = dict.fromkeys(sorted(event_topics), on_events)
    channels[alert_topic] = ["hrv-alert", "subject-erased"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "AUREN biometric bridge",
            "version": VERSION,
            "description": (
                "Records are CloudEvents 1.0 in binary mode, keyed by the person. Read "
                "with isolation.level=read_committed to see each of them once; ce_id "
                "names a record for ever. Skip a ce_type that you do not know."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in names
                },
            }
            for topic, names in channels.items()
        },
        "operations": {
            f"send-{topic}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in channels
        },
        "components": {
            "messages": {name: _message(name, shown[name]) for name in EVENT_TYPES},
            "schemas": {f"{name}.headers": header_schema(name) for name in EVENT_TYPES},
        },
    }


def _message(name: str, shown: Sequence[Example]) -> dict[str, Any]:
    return {
        "name": name,
        "title": schemas()[name]["title"],
        "headers": {"$ref": f"#/components/schemas/{name}.headers"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{name}.v1.schema.json"},
        },
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
        "examples": [
            {
                "name": example.ce_type,
                "headers": example.headers,
                "payload": example.value,
            }
            for example in shown
        ],
    }

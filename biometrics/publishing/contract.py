"""The contract as files: one JSON Schema each, and an AsyncAPI 3 document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from biometrics.publishing.schemas import header_schema, schemas

# Version of the contract, not of the bridge: raised with a breaking change only.
VERSION: Final = "1.0.0"
_RECORD_TYPES: Final = {
    "biometric-record": "auren.biometric.<record type>.<created|updated|deleted>.v1",
    "hrv-alert": ("auren.alert.hrv.<raised|upgraded|downgraded|retracted|resolved>.v1"),
    "connection": "auren.connection.<connected|revoked|relinked>.v1",
    "subject-erased": "auren.subject.erased.v1",
}


def files(
    *, event_topics: Sequence[str], alert_topic: str, limits_of_use: str
) -> dict[str, str]:
    """Return the contract's files by name.

    `limits_of_use` says to consumers what alerts are not for.
    """
    documents: dict[str, Mapping[str, Any]] = {
        f"{name}.v1.schema.json": schema for name, schema in schemas().items()
    }
    document = _asyncapi(event_topics, alert_topic)
    document["components"]["messages"]["hrv-alert"]["description"] = limits_of_use
    documents["asyncapi.json"] = document
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def _asyncapi(event_topics: Sequence[str], alert_topic: str) -> dict[str, Any]:
    on_events = [name for name in _RECORD_TYPES if name != "hrv-alert"]
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
                "names a record for ever."
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
            "messages": {name: _message(name) for name in _RECORD_TYPES},
            "schemas": {"headers": header_schema()},
        },
    }


def _message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": schemas()[name]["title"],
        "summary": f"ce_type {_RECORD_TYPES[name]}",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{name}.v1.schema.json"},
        },
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }

"""JSON Schemas (2020-12) of the records' values: the contract with consumers.

Fields may be added in a version, so every object is open; what is listed as required
stays. `contract` writes these into docs/contract.
"""

from __future__ import annotations

from typing import Any, Final

from biometrics.catalogue import METRICS, Metric
from biometrics.publishing.headers import schema_uri

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SEVERITY: Final[Schema] = {"enum": ["NORMAL", "MEDIUM", "HIGH", "CRITICAL"]}
_UUID: Final[Schema] = {"type": "string", "format": "uuid"}
_UTC: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT[\d:.]+Z$"}
_DATE: Final[Schema] = {"type": "string", "format": "date"}
_OFFSET = r"[+-]\d\d:\d\d"
_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_REASONS: Final[Schema] = {"type": "array", "items": _TEXT}
_METRIC: Final[Schema] = {"enum": [metric.value for metric in Metric]}
_UNIT: Final[Schema] = {"enum": sorted({spec.unit for spec in METRICS.values()})}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(
    required: dict[str, Schema], optional: dict[str, Schema] | None = None
) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


_LOCAL: Final[Schema] = {
    "type": "string",
    "pattern": rf"^\d{{4}}-\d\d-\d\dT[\d:.]+({_OFFSET})?$",
    "description": "Local time with the vendor's offset; without one if it gave none.",
}
_READING: Final[Schema] = _object(
    {"metric": _METRIC, "value": _NUMBER, "unit": _UNIT}, {"context": _TEXT}
)
_SERIES: Final[Schema] = {
    **_object(
        {
            "metric": _METRIC,
            "unit": _UNIT,
            "start": _LOCAL,
            "values": {"type": "array", "items": _nullable(_NUMBER)},
        },
        {
            "interval_s": {"type": "number", "exclusiveMinimum": 0},
            "offsets_s": {"type": "array", "items": _NUMBER},
            "context": _TEXT,
        },
    ),
    "oneOf": [{"required": ["interval_s"]}, {"required": ["offsets_s"]}],
    "description": "One value each interval_s from start, or at start + offsets_s.",
}
_ASSESSMENT: Final[Schema] = _object(
    {"severity": _SEVERITY, "reasons": _REASONS, "ruleset": _TEXT},
    {
        "state": _TEXT,
        "baseline_ms": _nullable(_NUMBER),
        "range_ms": _nullable({"type": "array", "items": _NUMBER}),
        "z1": _nullable(_NUMBER),
        "z7": _nullable(_NUMBER),
        "nights": {"type": "integer"},
    },
)
_PART: Final[Schema] = {
    **_object(
        {
            "index": {"type": "integer", "minimum": 1},
            "count": {"type": "integer", "minimum": 1},
        }
    ),
    "description": "Present when a record's series are spread over several records.",
}

_BODIES: Final[dict[str, Schema]] = {
    "biometric-record": _object(
        {
            "record": _object(
                {
                    "vendor": _TEXT,
                    "type": _TEXT,
                    "id": _TEXT,
                    "action": {"enum": ["created", "updated", "deleted"]},
                    "revision": _UTC,
                }
            ),
            "subject": _UUID,
            "start": _nullable(_LOCAL),
            "end": _nullable(_LOCAL),
            "zone_offset": _nullable({"type": "string", "pattern": f"^{_OFFSET}$"}),
            "local_date": _nullable(_DATE),
            "readings": {"type": "array", "items": _READING},
            "series": {"type": "array", "items": _SERIES},
        },
        {
            "attributes": {
                "type": "object",
                "additionalProperties": {
                    "type": ["string", "number", "boolean", "null"]
                },
            },
            "assessment": _ASSESSMENT,
            "part": _PART,
        },
    ),
    "hrv-alert": _object(
        {
            "alert": _object(
                {
                    "id": _UUID,
                    "kind": {
                        "enum": [
                            "raised",
                            "upgraded",
                            "downgraded",
                            "retracted",
                            "resolved",
                        ]
                    },
                    "revision": {"type": "integer", "minimum": 1},
                    "severity": _SEVERITY,
                    "reasons": _REASONS,
                    "ruleset": _TEXT,
                }
            ),
            "subject": _UUID,
            "night": _DATE,
            "evidence": {
                "type": "object",
                "description": "The engine's figures, and words for people.",
            },
        }
    ),
    "connection": _object(
        {
            "connection": _object(
                {
                    "vendor": _TEXT,
                    "change": {"enum": ["connected", "revoked", "relinked"]},
                    "reason": _TEXT,
                }
            ),
            "subject": _UUID,
        },
        {"former_subject": _UUID},
    ),
    "subject-erased": _object({"subject": _UUID, "erased_at": _UTC}),
}

_TITLES: Final = {
    "biometric-record": "What a vendor's record says",
    "hrv-alert": "A change of an alert about heart-rate variability",
    "connection": "A change of the connection between a person and a vendor",
    "subject-erased": "A person to be forgotten",
}


def schemas() -> dict[str, Schema]:
    """Return every schema by its name."""
    return {
        name: {
            "$schema": _DIALECT,
            "$id": schema_uri(name),
            "title": _TITLES[name],
            **body,
        }
        for name, body in _BODIES.items()
    }


def header_schema() -> Schema:
    """Return the schema of the headers that every record has, as texts."""
    constant = {"ce_specversion": "1.0", "content-type": "application/json"}
    plain = ("ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema")
    more = ("ce_partitionkey", "ce_sequence", "ce_dataclassification")
    own = ("source", "event_type", "user_id", "triggers")
    required: dict[str, Schema] = {
        **{name: {"const": value} for name, value in constant.items()},
        **dict.fromkeys((*plain, *more, *own), _TEXT),
        "priority": {"enum": ["NORMAL", "MEDIUM", "HIGH"]},
        "severity": _SEVERITY,
        "has_triggers": {"enum": ["true", "false"]},
    }
    optional = dict.fromkeys(("traceparent", "alert-id", "revision", "ruleset"), _TEXT)
    return _object(required, optional)

"""JSON Schemas (2020-12) of the records' values: the contract with consumers.

Fields may be added in a version, so every object is open; what is listed as required
stays. `enum` is a closed list, `x-extensible-enum` one that may grow: validators ignore
it, consumers skip what they do not know. `x-units` is the unit of each metric, for good.
`contract` writes these into docs/contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from biometrics.catalogue import METRICS, Metric
from biometrics.publishing.event_types import (
    ACTIONS,
    ALERT_KINDS,
    CONNECTION_KINDS,
    EVENT_TYPES,
    RECORD_TYPES,
)
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


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _extensible(values: Iterable[str]) -> Schema:
    return {"type": "string", "x-extensible-enum": list(values)}


def _object(
    required: dict[str, Schema], optional: dict[str, Schema] | None = None
) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


_METRIC: Final[Schema] = _extensible(metric.value for metric in Metric)
_UNIT: Final[Schema] = _extensible(sorted({spec.unit for spec in METRICS.values()}))
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
_STATE: Final[Schema] = {"enum": ["CALIBRATING", "PROVISIONAL", "ACTIVE"]}
_RANGE: Final[Schema] = {"type": "array", "items": _NUMBER}
_ASSESSMENT: Final[Schema] = _object(
    {"severity": _SEVERITY, "reasons": _REASONS, "ruleset": _TEXT},
    {
        "state": _STATE,
        "baseline_ms": _nullable(_NUMBER),
        "range_ms": _nullable(_RANGE),
        "z1": _nullable(_NUMBER),
        "z7": _nullable(_NUMBER),
        "nights": {"type": "integer"},
    },
)
_CORROBORATOR: Final[Schema] = _object(
    {
        "signal": _extensible(["RHR", "RR", "TEMP"]),
        "value": _NUMBER,
        "usual": _NUMBER,
        "delta": _NUMBER,
        "z": _NUMBER,
    }
)
_EVIDENCE: Final[Schema] = {
    **_object(
        {
            "night": _DATE,
            "kind": {"enum": ["RMSSD", "SDNN"]},
            "series_id": _TEXT,
            "state": _STATE,
            "severity": _SEVERITY,
            "reasons": _REASONS,
            "value_ms": _nullable(_NUMBER),
            "baseline_ms": _nullable(_NUMBER),
            "range_ms": _nullable(_RANGE),
            "z1": _nullable(_NUMBER),
            "z7": _nullable(_NUMBER),
            "cv7": _nullable(_NUMBER),
            "nights": {"type": "integer", "minimum": 0},
            "low_nights": {"type": "integer", "minimum": 0},
            "limit_ms": _nullable(_NUMBER),
            "corroborators": {"type": "array", "items": _CORROBORATOR},
            "threshold_offset": _NUMBER,
            "ruleset": _TEXT,
            "label": _TEXT,
            "message": _TEXT,
            "disclaimer": _TEXT,
        }
    ),
    "description": "The engine's figures, and words for people.",
}
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
                    "type": _extensible(RECORD_TYPES),
                    "id": _TEXT,
                    "action": {"enum": list(ACTIONS)},
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
                    "kind": {"enum": list(ALERT_KINDS)},
                    "revision": {"type": "integer", "minimum": 1},
                    "severity": _SEVERITY,
                    "reasons": _REASONS,
                    "ruleset": _TEXT,
                }
            ),
            "subject": _UUID,
            "night": _DATE,
            "evidence": _EVIDENCE,
        }
    ),
    "connection": _object(
        {
            "connection": _object(
                {
                    "vendor": _TEXT,
                    "change": {"enum": list(CONNECTION_KINDS)},
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
    units = {metric.value: METRICS[metric].unit for metric in Metric}
    more: dict[str, Schema] = {"biometric-record": {"x-units": units}}
    return {
        name: {
            "$schema": _DIALECT,
            "$id": schema_uri(name),
            "title": _TITLES[name],
            **body,
            **more.get(name, {}),
        }
        for name, body in _BODIES.items()
    }


def header_schema(name: str) -> Schema:
    """Return the schema of the headers, as texts, of records of a kind."""
    constant = {
        "ce_specversion": "1.0",
        "ce_dataschema": schema_uri(name),
        "content-type": "application/json",
    }
    plain = ("ce_id", "ce_source", "ce_time", "ce_subject", "ce_partitionkey")
    more = ("ce_sequence", "ce_dataclassification")
    own = ("source", "event_type", "user_id", "triggers")
    required: dict[str, Schema] = {
        **{name: {"const": value} for name, value in constant.items()},
        "ce_type": _extensible(EVENT_TYPES[name]),
        **dict.fromkeys((*plain, *more, *own), _TEXT),
        "priority": {"enum": ["NORMAL", "MEDIUM", "HIGH"]},
        "severity": _SEVERITY,
        "has_triggers": {"enum": ["true", "false"]},
    }
    if name == "hrv-alert":
        required |= dict.fromkeys(("alert-id", "revision", "ruleset"), _TEXT)
    return _object(required, {"traceparent": _TEXT})

"""What breaks consumers of the released contract, and what they are asked to bear."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.publishing.compatibility import breaks
from biometrics.publishing.contract import files
from biometrics.publishing.narrowing import widenings

Documents = dict[str, Any]
Change = Callable[[Documents], object]

RECORD = "biometric-record.v1.schema.json"
ALERT = "hrv-alert.v1.schema.json"


@pytest.fixture(scope="module")
def released() -> Documents:
    made = files(
        event_topics=["events"], alert_topic="alerts", limits_of_use=LIMITS_OF_USE
    )
    return {name: json.loads(text) for name, text in made.items()}


def record(documents: Documents) -> Any:
    return documents[RECORD]["properties"]


def reading(documents: Documents) -> Any:
    return record(documents)["readings"]["items"]


def alert(documents: Documents) -> Any:
    return documents[ALERT]["properties"]


def headers(documents: Documents, name: str = "hrv-alert") -> Any:
    return documents["asyncapi.json"]["components"]["schemas"][f"{name}.headers"]


def drop(holder: Any, name: str) -> None:
    """Take a property away as a change of code would."""
    del holder["properties"][name]
    if name in holder["required"]:
        holder["required"].remove(name)


def changed(released: Documents, change: Change) -> Documents:
    present = copy.deepcopy(released)
    change(present)
    assert present != released, "the change changes nothing"
    return present


def said(released: Documents, change: Change) -> list[str]:
    present = changed(released, change)
    return [str(broken) for broken in breaks(released=released, present=present)]


BREAKING: dict[str, tuple[Change, str]] = {
    "an event type is gone": (
        lambda d: headers(d)["properties"]["ce_type"]["x-extensible-enum"].pop(0),
        "hrv-alert headers $.ce_type: 'auren.alert.hrv.raised.v1' is gone",
    ),
    "a schema is gone": (
        lambda d: d.pop("connection.v1.schema.json"),
        "connection $: the schema is gone",
    ),
    "a topic is gone": (
        lambda d: d["asyncapi.json"]["channels"].pop("events"),
        "topic events $: is gone",
    ),
    "a topic is renamed": (
        lambda d: d["asyncapi.json"]["channels"]["events"].update(address="other"),
        "topic events $.address: is 'other', was 'events'",
    ),
    "a kind leaves its topic": (
        lambda d: d["asyncapi.json"]["channels"]["alerts"]["messages"].pop("hrv-alert"),
        "topic alerts $.hrv-alert: is gone",
    ),
    "a kind is gone": (
        lambda d: d["asyncapi.json"]["components"]["messages"].pop("connection"),
        "connection $: is gone",
    ),
    "a value has another schema": (
        lambda d: d["asyncapi.json"]["components"]["messages"]["connection"][
            "payload"
        ].update(schema={"$ref": "./hrv-alert.v1.schema.json"}),
        "connection $.payload: is ",
    ),
    "records are keyed otherwise": (
        lambda d: d["asyncapi.json"]["components"]["messages"]["connection"].pop(
            "bindings"
        ),
        "connection $.bindings: is None",
    ),
    "a header is gone": (
        lambda d: drop(headers(d), "triggers"),
        "hrv-alert headers $.triggers: is gone",
    ),
    "a header is optional": (
        lambda d: headers(d)["required"].remove("alert-id"),
        "hrv-alert headers $.alert-id: is no longer always there",
    ),
    "a header has another fixed value": (
        lambda d: headers(d)["properties"]["content-type"].update(const="text/plain"),
        "hrv-alert headers $.content-type: may be 'text/plain'",
    ),
    "a property is gone": (
        lambda d: drop(d[RECORD], "local_date"),
        "biometric-record $.local_date: is gone",
    ),
    "an optional property is gone": (
        lambda d: drop(d[RECORD], "assessment"),
        "biometric-record $.assessment: is gone",
    ),
    "a property is renamed": (
        lambda d: reading(d)["properties"].update(
            amount=reading(d)["properties"].pop("value")
        ),
        "biometric-record $.readings[*].value: is gone",
    ),
    "a property is optional": (
        lambda d: alert(d)["alert"]["required"].remove("severity"),
        "hrv-alert $.alert.severity: is no longer always there",
    ),
    "a number may be a text": (
        lambda d: reading(d)["properties"]["value"].update(type=["number", "string"]),
        "biometric-record $.readings[*].value: may be string",
    ),
    "an integer may be any number": (
        lambda d: alert(d)["alert"]["properties"]["revision"].update(type="number"),
        "hrv-alert $.alert.revision: may be number",
    ),
    "a value may be null": (
        lambda d: record(d).update(
            subject={"anyOf": [record(d)["subject"], {"type": "null"}]}
        ),
        "biometric-record $.subject: may be null",
    ),
    "a value may be anything": (
        lambda d: reading(d)["properties"].update(value={}),
        "biometric-record $.readings[*].value: may be anything",
    ),
    "items may be anything": (
        lambda d: record(d)["series"].pop("items"),
        "biometric-record $.series[*]: may be anything",
    ),
    "a closed list grows": (
        lambda d: alert(d)["alert"]["properties"]["severity"]["enum"].append("LOW"),
        "hrv-alert $.alert.severity: may be 'LOW'",
    ),
    "a closed list is open": (
        lambda d: alert(d)["alert"]["properties"].update(kind={"type": "string"}),
        "hrv-alert $.alert.kind: is no longer one of",
    ),
    "a metric is gone": (
        lambda d: reading(d)["properties"]["metric"]["x-extensible-enum"].remove(
            "steps"
        ),
        "biometric-record $.readings[*].metric: 'steps' is gone",
    ),
    "a metric has another unit": (
        lambda d: d[RECORD]["x-units"].update(distance="km"),
        "biometric-record $: unit of distance is km, was m",
    ),
    "a pattern is another": (
        lambda d: record(d)["record"]["properties"]["revision"].update(pattern=".*"),
        "biometric-record $.record.revision: pattern is",
    ),
    "a format is gone": (
        lambda d: record(d)["subject"].pop("format"),
        "biometric-record $.subject: format is null",
    ),
    "a lower bound is lower": (
        lambda d: alert(d)["alert"]["properties"]["revision"].update(minimum=0),
        "hrv-alert $.alert.revision: minimum is 0, was 1",
    ),
    "one of two forms is a third": (
        lambda d: record(d)["series"]["items"]["oneOf"].append({"required": ["x"]}),
        "biometric-record $.series[*]: oneOf is",
    ),
    "unnamed properties may be objects": (
        lambda d: record(d)["attributes"].pop("additionalProperties"),
        "biometric-record $.attributes.*: may be anything",
    ),
    "a schema has another name": (
        lambda d: d[ALERT].update({"$id": "urn:other"}),
        "hrv-alert $: $id is",
    ),
}

BEARABLE: dict[str, Change] = {
    "a new optional property": lambda d: record(d).update(device={"type": "string"}),
    "a new property that is always there": lambda d: (
        record(d).update(device={"type": "string"}),
        d[RECORD]["required"].append("device"),
    ),
    "a property is now always there": lambda d: reading(d)["required"].append(
        "context"
    ),
    "a value is never null any more": lambda d: record(d).update(
        local_date=record(d)["local_date"]["anyOf"][0]
    ),
    "a number is an integer": lambda d: reading(d)["properties"]["value"].update(
        type="integer"
    ),
    "a text becomes one of a closed list": lambda d: record(d)["record"][
        "properties"
    ].update(vendor={"enum": ["oura", "whoop"]}),
    "a lower bound is higher": lambda d: alert(d)["alert"]["properties"][
        "revision"
    ].update(minimum=2),
    "a list that may grow grows": lambda d: reading(d)["properties"]["metric"][
        "x-extensible-enum"
    ].append("grip_strength"),
    "a metric with its unit": lambda d: d[RECORD]["x-units"].update(grip_strength="N"),
    "a new event type": lambda d: headers(d)["properties"]["ce_type"][
        "x-extensible-enum"
    ].append("auren.alert.hrv.muted.v1"),
    "a new header": lambda d: headers(d)["properties"].update(
        region={"type": "string"}
    ),
    "a new schema": lambda d: d.update({"note.v1.schema.json": {"type": "object"}}),
    "a new topic": lambda d: d["asyncapi.json"]["channels"].update(
        more={"address": "more", "messages": {}}
    ),
    "other words": lambda d: d[RECORD].update(title="Other", examples=[]),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_consumers_is_named(
    released: Documents, name: str
) -> None:
    change, expected = BREAKING[name]
    found = said(released, change)
    assert any(line.startswith(expected) for line in found), found


@pytest.mark.parametrize("name", BEARABLE)
def test_a_change_that_consumers_can_bear_is_not(
    released: Documents, name: str
) -> None:
    assert said(released, BEARABLE[name]) == []


def test_one_change_is_one_finding(released: Documents) -> None:
    change, _ = BREAKING["a value may be null"]
    assert len(said(released, change)) == 1


@pytest.mark.parametrize(
    ("old", "new", "is_wider"),
    [
        ({"type": "object"}, {"type": "object", "properties": {"a": {}}}, False),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            True,
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "additionalProperties": False},
            False,
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "properties": {"a": {"type": "integer"}},
            },
            True,
        ),
        ({"enum": [1, 2]}, {"const": 2}, False),
        ({"type": "integer"}, {"enum": [1, 2]}, False),
        ({"type": "integer"}, {"enum": [1, "2"]}, True),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, {"const": 1}, False),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, {"const": 2}, True),
        ({"items": {"type": "string"}}, {"items": False}, False),
        ({"maxLength": 5}, {"maxLength": 6}, True),
        ({"maxLength": 5}, {"maxLength": 4}, True),
    ],
)
def test_narrower_and_wider(old: Any, new: Any, *, is_wider: bool) -> None:
    assert bool(widenings(old=old, new=new)) is is_wider


def test_what_cannot_be_told_apart_is_an_error() -> None:
    unclear = {"type": "string", "anyOf": [{"type": "null"}]}
    with pytest.raises(ValueError, match="anyOf"):
        widenings(old=unclear, new=unclear)

"""What consumers get: headers and values; read by a CloudEvents SDK and a schema."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from biometrics.catalogue import Metric
from biometrics.messages import NewMessage
from biometrics.publishing.schemas import header_schema, schemas
from biometrics.vendors.records import ReadingValue
from tests.publishing.nights import (
    ALERT,
    ASSESSMENT,
    EVENT,
    PERSON,
    SLEEP,
    STAMP,
    alert,
    connection,
    erased,
    told,
    value,
)


class TestHeaders:
    def test_an_event_has_exactly_these(self) -> None:
        (message,) = told(assessment=ASSESSMENT, traceparent="00-1-2-01")
        assert message.headers == {
            "ce_specversion": "1.0",
            "ce_id": str(EVENT),
            "ce_source": "/auren/oura",
            "ce_type": "auren.biometric.sleep.updated.v1",
            "ce_time": "2026-11-20T06:01:02Z",
            "ce_subject": str(PERSON),
            "ce_dataschema": "urn:auren:schema:biometric-record:1",
            "ce_partitionkey": str(PERSON),
            "ce_dataclassification": "restricted",
            "content-type": "application/json",
            "source": "oura",
            "event_type": "sleep.updated",
            "user_id": str(PERSON),
            "priority": "MEDIUM",
            "severity": "MEDIUM",
            "has_triggers": "true",
            "triggers": "M1_z<=-1.5",
            "traceparent": "00-1-2-01",
        }
        assert (message.ce_id, message.event_id) == (EVENT, EVENT)

    def test_an_event_that_nobody_judged_is_normal(self) -> None:
        (message,) = told()
        headers = message.headers
        assert (headers["severity"], headers["priority"]) == ("NORMAL", "NORMAL")
        assert (headers["has_triggers"], headers["triggers"]) == ("false", "")
        assert "traceparent" not in headers

    @pytest.mark.parametrize(
        ("severity", "priority"),
        [
            ("CRITICAL", "HIGH"),
            ("HIGH", "HIGH"),
            ("MEDIUM", "MEDIUM"),
            ("NORMAL", "NORMAL"),
        ],
    )
    def test_priority_follows_severity(self, severity: str, priority: str) -> None:
        (message,) = told(assessment={**ASSESSMENT, "severity": severity})
        assert message.headers["severity"] == severity
        assert message.headers["priority"] == message.priority == priority

    def test_a_given_priority_stands(self) -> None:
        (message,) = told(
            assessment={**ASSESSMENT, "severity": "HIGH"}, priority="NORMAL"
        )
        assert message.headers["severity"] == "HIGH"
        assert message.headers["priority"] == message.priority == "NORMAL"

    def test_an_unknown_severity_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="severity"):
            told(assessment={**ASSESSMENT, "severity": "DREADFUL"})

    def test_no_header_holds_the_vendors_id(self) -> None:
        (message,) = told()
        assert SLEEP.record_id not in " ".join(message.headers.values())

    def test_an_alert_carries_its_identity(self) -> None:
        message = alert()
        assert message.headers["alert-id"] == str(ALERT)
        assert message.headers["revision"] == "2"
        assert message.headers["ruleset"] == "hrv-1"
        assert message.headers["ce_type"] == "auren.alert.hrv.raised.v1"
        assert message.headers["triggers"] == "H5_z<=-3.0,C1"
        assert message.ce_id == alert().ce_id != alert(revision=3).ce_id


class TestValue:
    def test_the_published_form(self) -> None:
        (message,) = told(assessment=ASSESSMENT)
        assert value(message) == {
            "record": {
                "vendor": "oura",
                "type": "sleep",
                "id": "8f9a5221-639e-4a85-81cb-4065ef23f979",
                "action": "updated",
                "revision": "2026-11-20T06:01:02Z",
            },
            "subject": str(PERSON),
            "start": "2026-11-19T23:10:00+01:00",
            "end": "2026-11-20T06:40:00+01:00",
            "zone_offset": "+01:00",
            "local_date": "2026-11-20",
            "readings": [
                {
                    "metric": "heart_rate_variability_rmssd",
                    "value": 38,
                    "unit": "ms",
                    "context": "sleep",
                },
                {"metric": "resting_heart_rate", "value": 52, "unit": "/min"},
            ],
            "series": [
                {
                    "metric": "heart_rate",
                    "unit": "/min",
                    "start": "2026-11-19T23:10:00+01:00",
                    "interval_s": 300,
                    "values": [61, 58, None, 55],
                }
            ],
            "assessment": ASSESSMENT,
        }

    @pytest.mark.parametrize(
        ("offset", "start"),
        [
            ("-08:00", "2026-11-19T14:10:00-08:00"),
            ("+05:30", "2026-11-20T03:40:00+05:30"),
            ("+00:00", "2026-11-19T22:10:00+00:00"),
            (None, "2026-11-19T22:10:00"),
        ],
    )
    def test_times_are_local_to_the_person(
        self, offset: str | None, start: str
    ) -> None:
        (message,) = told(replace(SLEEP, zone_offset=offset))
        assert value(message)["start"] == start
        assert value(message)["series"][0]["start"] == start

    def test_numbers_have_no_noise(self) -> None:
        readings = (
            ReadingValue(metric=Metric.BODY_TEMPERATURE, value=36.6 + 3e-15),
            ReadingValue(metric=Metric.BODY_TEMPERATURE, value=36.65),
        )
        (message,) = told(replace(SLEEP, readings=readings, series=()))
        assert b'"value":36.6,' in message.value
        assert b'"value":36.65,' in message.value


MESSAGES = [
    *told(assessment=ASSESSMENT),
    *told(replace(SLEEP, action="deleted", readings=(), series=(), zone_offset=None)),
    alert(),
    connection(),
    erased(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda item: item.event_type)
class TestContract:
    def wire(self, message: NewMessage) -> dict[str, bytes]:
        return {
            **{name: text.encode() for name, text in message.headers.items()},
            "ce_sequence": b"00000000000000000017",
        }

    def test_an_independent_reader_understands_it(self, message: NewMessage) -> None:
        event = from_binary(
            KafkaMessage(
                headers=self.wire(message),
                key=str(message.subject).encode(),
                value=message.value,
            ),
            JSONFormat(),
        )
        assert event.get_id() == str(message.ce_id)
        assert event.get_type() == message.headers["ce_type"]
        assert event.get_time() == STAMP
        assert event.get_extension("partitionkey") == str(PERSON)
        assert event.get_extension("sequence") == "00000000000000000017"
        assert event.get_data() == value(message)

    def test_it_is_as_its_schema_says(self, message: NewMessage) -> None:
        known = {schema["$id"]: schema for schema in schemas().values()}
        schema = known[message.headers["ce_dataschema"]]
        Draft202012Validator(
            schema, format_checker=Draft202012Validator.FORMAT_CHECKER
        ).validate(value(message))
        headers = {name: text.decode() for name, text in self.wire(message).items()}
        name = headers["ce_dataschema"].split(":")[-2]
        Draft202012Validator(header_schema(name)).validate(headers)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schemas_are_schemas(name: str) -> None:
    schema = schemas()[name]
    validator_for(schema).check_schema(schema)


@pytest.mark.parametrize("field", ["record", "subject", "readings", "series", "start"])
def test_a_value_without_a_promised_field_is_no_value(field: str) -> None:
    (message,) = told()
    broken = {key: item for key, item in value(message).items() if key != field}
    schema = schemas()["biometric-record"]
    assert not Draft202012Validator(schema).is_valid(broken)

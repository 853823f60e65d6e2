"""What every record of the test suite is held to: the contract, and a reader not ours.

`watch` looks at whatever enters the outbox and whatever the relay makes of it, in this
process; `objections` judges one record, whoever has read it. A violation is kept instead
of raised, since the code under test may rightly survive an exception.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest import mock

import orjson
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from biometrics import outbox
from biometrics.messages import NewMessage
from biometrics.publishing import dispatch
from biometrics.publishing.claims import Claim
from biometrics.publishing.producers import OutgoingRecord
from biometrics.publishing.schemas import header_schema, schemas

# The real ones: the innermost watch alone sees what happens.
_APPEND = outbox.append
_RECORDS_OF = dispatch.records_of


def closed(schema: Any) -> Any:
    """Return the schema without room: nothing unnamed, only what lists hold today.

    The contract leaves room for what will be added; what is sent today must be in it.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(item) for name, item in schema.items()}
    if "x-extensible-enum" in found:
        found["enum"] = found["x-extensible-enum"]
    if "properties" in found and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


@functools.cache
def _validators() -> dict[str, tuple[Draft202012Validator, Draft202012Validator]]:
    """Return the validators of headers and value by `ce_dataschema`."""
    return {
        schema["$id"]: (
            Draft202012Validator(closed(header_schema(name))),
            Draft202012Validator(
                closed(schema), format_checker=Draft202012Validator.FORMAT_CHECKER
            ),
        )
        for name, schema in schemas().items()
    }


def objections(*, key: bytes, headers: Mapping[str, bytes], value: bytes) -> list[str]:
    """Return what is wrong with a record, one line each."""
    texts = {name: text.decode() for name, text in headers.items()}
    known = _validators().get(texts.get("ce_dataschema", ""))
    if known is None:
        return [f"no schema is called {texts.get('ce_dataschema')!r}"]
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError:
        return ["value: is not JSON"]
    of_headers, of_value = known
    found = [
        f"{where} {error.json_path}: {error.message[:200]}"
        for where, validator, what in (
            ("headers", of_headers, texts),
            ("value", of_value, data),
        )
        for error in validator.iter_errors(what)
    ]
    if not found:
        found = [*_wrong_units(data), *_misread(key, headers, value)]
    return found


def _wrong_units(data: Mapping[str, Any]) -> Iterator[str]:
    units = schemas()["biometric-record"]["x-units"]
    for row in [*data.get("readings", ()), *data.get("series", ())]:
        if units.get(row["metric"]) != row["unit"]:
            yield f"value: {row['metric']} in {row['unit']}"


def _misread(key: bytes, headers: Mapping[str, bytes], value: bytes) -> Iterator[str]:
    """Compare with what the CloudEvents SDK understands."""
    message = KafkaMessage(headers=dict(headers), key=key, value=value)
    # Whatever the SDK raises, it could not read the record.
    try:
        event = from_binary(message, JSONFormat())
    except Exception as error:  # noqa: BLE001
        yield f"the CloudEvents SDK cannot read it: {error!r}"
        return
    read = {
        "ce_id": event.get_id(),
        "ce_type": event.get_type(),
        "ce_source": event.get_source(),
        "ce_subject": event.get_subject(),
        "ce_dataschema": event.get_dataschema(),
        "ce_partitionkey": event.get_extension("partitionkey"),
        "ce_sequence": event.get_extension("sequence"),
        "content-type": event.get_datacontenttype(),
    }
    for name, text in read.items():
        if headers[name].decode() != text:
            yield f"the CloudEvents SDK reads {name} as {text!r}"
    if event.get_time() != datetime.fromisoformat(headers["ce_time"].decode()):
        yield f"the CloudEvents SDK reads ce_time as {event.get_time()}"
    if event.get_data() != orjson.loads(value):
        yield "the CloudEvents SDK reads another value"


class Watch:
    """Collects objections to the records that it is shown."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.seen = 0

    def message(self, message: NewMessage) -> None:
        """Judge a message of the outbox as the record that it will be."""
        headers = {name: text.encode() for name, text in message.headers.items()}
        headers["ce_sequence"] = b"%020d" % 1
        self._judge(str(message.subject).encode(), headers, message.value)

    def records(self, records: Iterable[OutgoingRecord]) -> None:
        """Judge what goes to the broker."""
        for record in records:
            self._judge(record.key, dict(record.headers), record.value)

    def _judge(self, key: bytes, headers: Mapping[str, bytes], value: bytes) -> None:
        self.seen += 1
        kind = headers.get("ce_type", b"no ce_type").decode()
        self.found += [
            f"{kind}: {line}"
            for line in objections(key=key, headers=headers, value=value)
        ]


@contextmanager
def watch() -> Iterator[Watch]:
    """Show every message appended and every record made meanwhile to a watch."""
    watching = Watch()

    def watched_append(*, messages: Sequence[NewMessage], now: datetime) -> set[int]:
        for message in messages:
            watching.message(message)
        return _APPEND(messages=messages, now=now)

    def watched_records(*, claim: Claim, now: datetime) -> list[OutgoingRecord]:
        made = _RECORDS_OF(claim=claim, now=now)
        watching.records(made)
        return made

    with (
        mock.patch.object(outbox, "append", watched_append),
        mock.patch.object(dispatch, "records_of", watched_records),
    ):
        yield watching

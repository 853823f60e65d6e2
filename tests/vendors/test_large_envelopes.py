"""Of a body of megabytes intake reads the outline, and says the same as of a short one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from biometrics.errors import MalformedPayloadError
from biometrics.vendors.fields import load_envelope
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import MIB
from tests.vendors.deliveries import make_request

LONG = [{"a": 1, "b": "x" * 50}] * 30_000


def of(body: object) -> dict[str, Any]:
    raw = orjson.dumps(body)
    assert len(raw) > MIB
    return load_envelope(raw)


def test_what_is_short_is_whole_and_what_is_long_is_outlined() -> None:
    found = of(
        {
            "type": "activity",
            "user": {"user_id": "u", "scopes": ["a", {"b": None}]},
            "data": LONG,
            "deep": {"records": LONG, "sleep": [], "more": {"n": 1.5}},
            "text": "x" * 100_000,
            "empty": [],
        }
    )
    assert found == {
        "type": "activity",
        "user": {"user_id": "u", "scopes": ["a", {"b": None}]},
        "data": [None],
        "deep": {"records": [None], "sleep": [], "more": {"n": 1.5}},
        "text": None,
        "empty": [],
    }


def test_objects_are_not_looked_into_without_end() -> None:
    nested: dict[str, Any] = {"rows": LONG}
    for _ in range(10):
        nested = {"in": nested}
    assert of(nested) == {"in": {"in": {"in": {"": None}}}}


def test_of_a_doubled_key_the_last_counts_as_in_short_bodies() -> None:
    rows = orjson.dumps(LONG)
    assert load_envelope(b'{"a": 1, "d": ' + rows + b', "a": 2}')["a"] == 2
    assert load_envelope(b'  \n{"d": ' + rows + b', "a": 2}')["a"] == 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 2 * MIB,
        b'{"a":' * MIB,
        b'{"a": ' + b"[" * 2 * MIB + b"]" * 2 * MIB + b"}",
        b"x" * 2 * MIB,
        b" " * 2 * MIB,
        b'{"a": "' + b"x" * 2 * MIB,
        b'{"a": ' + orjson.dumps(LONG) + b', "b": NaN}',
        b'{"a": ' + orjson.dumps(LONG) + b', "b": "\xff"}',
        orjson.dumps(LONG),
        orjson.dumps("x" * 2 * MIB),
    ],
    ids=lambda body: repr(body[:7] + body[-9:]),
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPayloadError):
        load_envelope(body)


@pytest.mark.parametrize(
    ("slug", "body"),
    [
        ("terra", {"type": "activity", "user": {"user_id": "u"}, "data": LONG}),
        ("healthkit", {"provider": "apple", "data": {"records": LONG, "sleep": []}}),
        ("healthkit", {"data": {"metrics": [{"name": "x", "data": LONG}]}}),
        ("healthkit", {"data": {"workouts": [], "ecg": LONG}}),
        ("healthkit", {"data": LONG}),
    ],
)
def test_an_envelope_is_that_of_the_same_body_when_short(slug: str, body: Any) -> None:
    adapter, owner = get_adapter(slug), "someone" if slug == "healthkit" else None

    def read(raw: bytes) -> object:
        request = make_request(slug, body=raw)
        try:
            envelope = adapter.envelope(request, account_id=owner)
        except MalformedPayloadError as error:
            return error.detail
        return envelope.account_id, envelope.event_type, envelope.ignored

    raw = orjson.dumps(body)
    short = raw.replace(orjson.dumps(LONG), orjson.dumps(LONG[:1]))
    assert len(short) < MIB < len(raw)
    assert read(raw) == read(short)

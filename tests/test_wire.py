"""The suite's own guard of the contract notices what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from django.db import transaction

from biometrics import outbox
from biometrics.messages import NewMessage
from biometrics.publishing import dispatch
from tests import wire
from tests.publishing import conftest as worlds
from tests.publishing.nights import ALERT, alert, told
from tests.publishing.world import World, marked

one_shard, broker, world = worlds.one_shard, worlds.broker, worlds.world


def wrong(message: NewMessage) -> str:
    headers = {name: text.encode() for name, text in message.headers.items()}
    return "\n".join(
        wire.objections(
            key=str(message.subject).encode(),
            headers={**headers, "ce_sequence": b"1"},
            value=message.value,
        )
    )


def with_value(change: Callable[[Any], object]) -> NewMessage:
    (message,) = told()
    value = orjson.loads(message.value)
    change(value)
    return replace(message, value=orjson.dumps(value))


def with_header(message: NewMessage, name: str, text: str) -> NewMessage:
    return replace(message, headers={**message.headers, name: text})


def test_a_record_as_it_must_be() -> None:
    assert wrong(alert()) == ""
    assert [wrong(message) for message in told()] == [""]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v.pop("subject"), "'subject' is a required property"),
        (lambda v: v.update(colour="red"), "'colour' was unexpected"),
        (lambda v: v["readings"][0].update(value="38"), "'38' is not of type"),
        (lambda v: v["readings"][0].update(metric="mood"), "'mood' is not one of"),
        (
            lambda v: v["readings"][0].update(unit="s"),
            "heart_rate_variability_rmssd in s",
        ),
        (lambda v: v.update(local_date="20.11.2026"), "'20.11.2026' is not valid"),
    ],
)
def test_a_value_that_breaks_the_contract(
    change: Callable[[Any], object], expected: str
) -> None:
    assert expected in wrong(with_value(change))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ce_dataschema", "urn:other", "no schema is called 'urn:other'"),
        ("ce_type", "auren.alert.hrv.shouted.v1", "is not one of"),
        ("ce_time", "yesterday", "the CloudEvents SDK cannot read it"),
        ("ce_partitionkey", str(ALERT), "reads ce_partitionkey as"),
        ("x-vendor-user", "4711", "unexpected"),
    ],
)
def test_headers_that_break_the_contract(name: str, text: str, expected: str) -> None:
    assert expected in wrong(with_header(alert(), name, text))


def test_whatever_is_appended_or_sent_is_looked_at(world: World) -> None:
    bad = with_header(marked("", person=world.person), "priority", "SOON")
    with wire.watch() as watching, transaction.atomic():
        outbox.append(messages=[bad], now=world.clock())
    assert [line.startswith("auren.connection.") for line in watching.found] == [True]
    assert "'SOON' is not one of" in watching.found[0]
    with wire.watch() as watching:
        world.worker().work()
    assert watching.seen == 1
    assert "'SOON' is not one of" in watching.found[0]


def test_afterwards_nothing_is_in_between() -> None:
    before = outbox.append, dispatch.records_of
    with wire.watch():
        assert outbox.append is not before[0]
    assert (outbox.append, dispatch.records_of) == before

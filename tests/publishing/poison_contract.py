"""What can never be published stops one person, whatever broker there is.

Each test begins with healthy people around a sick one and ends with all of them
published in order, the sick one parked from the refused message on, with the reason.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest

from biometrics.models import OutboxMessage, ParkedQueue
from tests import wire
from tests.publishing.world import World

Visible = Callable[[], dict[UUID, list[str]]]
Spoil = Callable[[OutboxMessage], None]
# Above what the tests' topic takes, and not to be compressed.
LARGE = random.Random(1).randbytes(60_000).hex()


def spoil_value(change: Callable[[Any], object]) -> Spoil:
    def spoil(row: OutboxMessage) -> None:
        value = orjson.loads(bytes(row.value or b""))
        change(value)
        row.value = orjson.dumps(value)

    return spoil


def spoil_header(name: str, text: Any) -> Spoil:
    def spoil(row: OutboxMessage) -> None:
        row.headers = {**row.headers, name: text}

    return spoil


def cut(row: OutboxMessage) -> None:
    row.value = bytes(row.value or b"")[:-5]


INVALID: dict[str, tuple[Spoil, str]] = {
    "a field is missing": (
        spoil_value(lambda v: v.pop("subject")),
        "Its value breaks “required subject”",
    ),
    "a field of another kind": (
        spoil_value(lambda v: v["connection"].update(reason=4711)),
        "Its value at connection.reason breaks “type”",
    ),
    "a word outside of a closed list": (
        spoil_value(lambda v: v["connection"].update(change="dreamt")),
        "Its value at connection.change breaks “enum”",
    ),
    "a subject that is no UUID": (
        spoil_value(lambda v: v.update(subject="4711")),
        "Its value at subject breaks “format”",
    ),
    "no JSON": (cut, "Its value is not JSON"),
    "a schema that nobody knows": (
        spoil_header("ce_dataschema", "urn:other"),
        "No schema is called 'urn:other'",
    ),
    "a header outside of a closed list": (
        spoil_header("priority", "SOON"),
        "Its header at priority breaks “enum”",
    ),
    "a header that is no text": (
        spoil_header("triggers", 4711),
        "Its header at triggers breaks “type”",
    ),
}


class PoisonContract:
    """Subclasses provide `world` and `visible`, and `everything` for dirty readers."""

    @pytest.fixture
    def stop_at(self, world: World, visible: Visible) -> Callable[..., ParkedQueue]:
        """Work a shard off whose middle is spoilt; return the queue that is parked."""

        def run(spoil: Spoil | None = None, **given: Any) -> ParkedQueue:
            healthy = [world.new_person() for _ in range(6)]
            for person in healthy:
                world.append(2, person=person)
            world.append(1)
            (sick,) = world.append(1, **given)
            world.append(1)
            for person in healthy:
                world.append(1, person=person)
            if spoil is not None:
                row = OutboxMessage.objects.get(ce_id=sick)
                spoil(row)
                row.save()
            # What this contract is about breaks the suite's own watch on every record.
            with wire.watch():
                world.work_off()
            seen = visible()
            assert all(seen[person] == world.sent[person] for person in healthy)
            assert seen[world.person] == world.sent[world.person][:1]
            assert world.statuses() == {"published": 19, "parked": 2}
            queue = ParkedQueue.objects.get()
            refused = OutboxMessage.objects.get(ce_id=sick)
            assert (queue.subject, queue.from_id) == (world.person, refused.id)
            assert refused.error == queue.reason
            return queue

        return run

    @pytest.mark.parametrize("name", list(INVALID))
    def test_what_breaks_our_own_schema_is_never_sent(
        self,
        name: str,
        stop_at: Callable[..., ParkedQueue],
        everything: Callable[[], int],
    ) -> None:
        spoil, said = INVALID[name]
        queue = stop_at(spoil)
        assert queue.code == "invalid"
        assert queue.reason == f"{said}. Nothing was sent."
        # Not even in a transaction that was given up.
        assert everything() == 19

    def test_what_is_too_large_for_the_broker(
        self, stop_at: Callable[..., ParkedQueue]
    ) -> None:
        queue = stop_at(mark=LARGE)
        assert queue.code == "too_large"
        assert LARGE[:20] not in queue.reason

    def test_a_topic_that_nobody_declares(
        self, stop_at: Callable[..., ParkedQueue], everything: Callable[[], int]
    ) -> None:
        queue = stop_at(topic="mistyped")
        assert queue.code == "bad_topic"
        assert "'mistyped'" in queue.reason
        assert everything() == 19

"""The judge of chaos sees each kind of harm, else its zeros mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from tests.chaos import judge
from tests.chaos.traffic import Sending
from tests.e2e.stack import Stack

SENT = {"delivery": Sending(vendor="oura", body=b"", record_id="night")}


@dataclass
class Written:
    """What the judge reads of a record."""

    ce_id: str
    ce_sequence: int
    offset: int
    topic: str = "biometric-events"
    partition: int = 0
    key: bytes = b"person"
    value: bytes = b'{"record": {"id": "night"}}'

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        number = b"%020d" % self.ce_sequence
        return [("ce_id", self.ce_id.encode()), ("ce_sequence", number)]


class Rows:
    """Answers the judge's two questions to the database."""

    def __init__(
        self, *, said: list[tuple[str, str | None]], stored: list[str]
    ) -> None:
        self._said, self._stored = said, stored

    def sql(self, query: str) -> list[tuple[str | None, ...]]:
        if "webhookdelivery" in query:
            return list(self._said)
        return [(ce_id,) for ce_id in self._stored]


def lost(rows: Rows, *records: Written) -> int:
    return judge.count_lost(
        cast("Stack", rows),
        acknowledged=SENT,
        records=list(records),
    )


def test_all_there_is_nothing_lost() -> None:
    rows = Rows(said=[("delivery", "a")], stored=["a"])
    assert lost(rows, Written("a", 1, 0)) == 0


@pytest.mark.parametrize(
    ("said", "stored", "records"),
    [
        ([], [], [Written("a", 1, 0)]),
        ([("delivery", None)], [], [Written("a", 1, 0)]),
        ([("delivery", "a")], [], [Written("b", 1, 0)]),
        ([("delivery", "a")], ["a", "b"], [Written("a", 1, 0)]),
        ([("delivery", "a")], ["a"], [Written("a", 1, 0, value=b"{}")]),
    ],
    ids=["no event", "no message", "no record", "alert unsent", "other content"],
)
def test_each_way_to_lose_is_seen(
    said: list[tuple[str, str | None]], stored: list[str], records: list[Written]
) -> None:
    assert lost(Rows(said=said, stored=stored), *records) == 1


def test_a_second_copy_is_seen() -> None:
    assert judge.count_doubled([Written("a", 1, 0), Written("b", 2, 1)]) == 0
    assert judge.count_doubled([Written("a", 1, 0), Written("a", 1, 1)]) == 1


def test_order_is_judged_by_person() -> None:
    def disordered(*records: Written) -> int:
        return judge.count_disordered(list(records))

    other = Written("c", 1, 2, key=b"other")
    assert disordered(Written("a", 1, 0), Written("b", 2, 1), other) == 0
    assert disordered(Written("b", 2, 0), Written("a", 1, 1), other) == 1
    # A person who changes the partition between two records has no order any more, but
    # within the topic the number still shows it.
    assert disordered(Written("b", 2, 0), Written("a", 1, 0, partition=1)) == 1

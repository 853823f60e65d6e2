"""Times, revisions and faults of WHOOP's documents."""

from __future__ import annotations

from typing import Any

import pytest

from biometrics.errors import UnreadableDeliveryError
from tests.vendors.deliveries import NOW
from tests.vendors.said import problems, readings, times
from tests.vendors.whoop_bodies import load, recovery, sleep
from tests.vendors.whoop_documents import notified, read


def test_an_untouched_record_is_new() -> None:
    created = "2022-04-24T14:25:44.774Z"
    assert notified("sleep.updated", sleep(created_at=created)).action == "created"

    unknown = sleep(created_at=None, updated_at=None)
    assert notified("sleep.updated", unknown).action == "updated"


@pytest.mark.parametrize("when", [None, "soon", "2126-01-01T00:00:00Z", 5])
def test_without_a_usable_update_time_the_fetch_orders_revisions(when: object) -> None:
    record = read("sleep", sleep(updated_at=when))

    assert record.stamp == NOW
    assert problems(record) == ["updated_at"]


@pytest.mark.parametrize("offset", [None, "", "+99:99", "EST", 5])
def test_without_an_offset_times_stay_utc_and_the_day_is_unknown(
    offset: object,
) -> None:
    record = notified("recovery.updated", sleep(timezone_offset=offset), recovery())

    assert times(record) == (
        "2022-04-24T02:25:44.774000+00:00",
        "2022-04-24T10:25:44.774000+00:00",
        None,
        None,
    )
    assert record.night is None
    assert problems(record) == ["sleep.timezone_offset"]


def test_an_end_alone_needs_an_offset_too() -> None:
    record = read("sleep", sleep(start=None, timezone_offset="EST"))

    assert problems(record) == ["timezone_offset"]
    assert record.local_date is None


def test_a_record_may_end_as_it_starts() -> None:
    record = read("sleep", sleep(end="2022-04-24T02:25:44.774Z"))

    assert record.start == record.end
    assert problems(record) == []


def test_utc_is_an_offset_too() -> None:
    record = read("sleep", sleep(timezone_offset="Z"))

    assert times(record)[2:] == ("+00:00", "2022-04-24")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"end": "2022-04-24T02:25:44.773Z"}, ["end"]),
        ({"start": "0001-01-01T00:00:00+14:00"}, ["start"]),
        ({"start": 5, "end": "2126-01-01T00:00:00Z"}, ["start", "end"]),
    ],
)
def test_times_that_cannot_be_are_missing(
    changes: dict[str, Any], fields: list[str]
) -> None:
    record = read("sleep", sleep(**changes))

    assert problems(record) == fields
    assert record.start is None
    assert (record.end is None) is ("end" in fields)
    assert readings(record)["sleep_duration"] == 27415.794


def test_an_answer_about_another_record_is_reported() -> None:
    record = notified("sleep.updated", load("api_sleep_by_id.json"))

    assert record.record_id == "ecfc6a15-4661-442f-a9a4-f160dd7afae8"
    assert problems(record) == ["id"]


@pytest.mark.parametrize("data_type", ["sleep", "recovery", "step_count"])
@pytest.mark.parametrize("document", [None, [], {}, {"id": "\x00", "sleep_id": []}])
def test_a_document_without_an_id_is_unreadable(
    data_type: str, document: object
) -> None:
    with pytest.raises(UnreadableDeliveryError):
        read(data_type, document)


@pytest.mark.parametrize(
    ("start", "end", "offset", "hours", "expected"),
    [
        # Berlin, clocks back: WHOOP writes one offset for all of it, either of the two.
        ("2025-10-25T21:30", "2025-10-26T06:30", "+02:00", 9, "2025-10-26"),
        ("2025-10-25T21:30", "2025-10-26T06:30", "+01:00", 9, "2025-10-26"),
        # Clocks forward.
        ("2026-03-28T22:30", "2026-03-29T05:30", "+01:00", 7, "2026-03-29"),
        ("2026-03-28T22:30", "2026-03-29T05:30", "+02:00", 7, "2026-03-29"),
        # The morning of a traveller is that of the place, not of London.
        ("2026-08-12T10:00", "2026-08-12T16:30", "-10:00", 6.5, "2026-08-12"),
        ("2026-08-11T14:00", "2026-08-11T22:00", "+09:00", 8, "2026-08-12"),
        ("2026-08-11T12:15", "2026-08-11T18:30", "+05:45", 6.25, "2026-08-12"),
        ("2026-08-11T10:00", "2026-08-11T18:00", "Z", 8, "2026-08-11"),
    ],
)
def test_a_night_is_the_date_of_waking_and_has_all_its_hours(
    start: str, end: str, offset: str, hours: float, expected: str
) -> None:
    slept = sleep(
        start=f"{start}:00.000Z", end=f"{end}:00.000Z", timezone_offset=offset
    )
    for record in (
        read("sleep", slept),
        notified("recovery.updated", slept, recovery()),
    ):
        assert record.start is not None
        assert record.end is not None
        assert (record.end - record.start).total_seconds() == hours * 3600
        assert times(record)[2:] == ("+00:00" if offset == "Z" else offset, expected)
    assert record.night is not None
    assert record.night.night.isoformat() == expected


def test_a_workout_and_a_cycle_are_of_the_date_on_which_they_began() -> None:
    """In Auckland it was Wednesday already."""
    for kind, name in (
        ("workout", "api_workout_by_id.json"),
        ("cycle", "api_cycle_by_id.json"),
    ):
        document = load(name) | {
            "start": "2026-08-11T18:30:00.000Z",
            "end": "2026-08-12T13:00:00.000Z",
            "timezone_offset": "+12:00",
        }
        assert times(read(kind, document)) == (
            "2026-08-12T06:30:00+12:00",
            "2026-08-13T01:00:00+12:00",
            "+12:00",
            "2026-08-12",
        )

"""Quiet hours: inside, outside, over midnight, in another zone, as clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from biometrics.notifying.quiet import may_go_at


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "since", "until", "zone", "expected"),
    [
        ("2026-11-28T12:00", None, None, "UTC", "2026-11-28T12:00"),
        ("2026-11-28T12:00", "22:00", "07:00", "UTC", "2026-11-28T12:00"),
        ("2026-11-28T21:59", "22:00", "07:00", "UTC", "2026-11-28T21:59"),
        ("2026-11-28T22:00", "22:00", "07:00", "UTC", "2026-11-29T07:00"),
        ("2026-11-28T23:30", "22:00", "07:00", "UTC", "2026-11-29T07:00"),
        ("2026-11-28T03:00", "22:00", "07:00", "UTC", "2026-11-28T07:00"),
        ("2026-11-28T07:00", "22:00", "07:00", "UTC", "2026-11-28T07:00"),
        ("2026-11-28T13:00", "12:00", "14:00", "UTC", "2026-11-28T14:00"),
        ("2026-11-28T14:00", "12:00", "14:00", "UTC", "2026-11-28T14:00"),
        ("2026-11-28T11:59", "12:00", "14:00", "UTC", "2026-11-28T11:59"),
        ("2026-11-28T21:30", "22:00", "07:00", "Europe/Berlin", "2026-11-29T06:00"),
        ("2026-11-28T12:00", "12:00", "12:00", "UTC", "2026-11-28T12:00"),
        # Berlin puts its clock forward at 01:00 UTC: 02:30 does not exist there.
        ("2026-03-29T00:30", "22:00", "02:30", "Europe/Berlin", "2026-03-29T01:30"),
        # And back at 01:00 UTC: 02:30 exists twice, the first counts.
        ("2026-10-25T00:10", "22:00", "02:30", "Europe/Berlin", "2026-10-25T00:30"),
    ],
)
def test_when_somebody_may_be_told(
    now: str, since: str | None, until: str | None, zone: str, expected: str
) -> None:
    found = may_go_at(
        at(now),
        since=time.fromisoformat(since) if since else None,
        until=time.fromisoformat(until) if until else None,
        zone=zone,
    )
    assert found == at(expected)

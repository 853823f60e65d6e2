from __future__ import annotations

from dataclasses import replace

import pytest

from biometrics.alerts.emission import (
    LedgerEntry,
    apply_events,
    emit,
)
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import judge_many
from biometrics.alerts.ruleset import Severity
from tests.alerts.builders import (
    PERSONAL,
    SUBJECT,
    Desk,
    alternating,
    day,
    nights_of,
    verdict_of,
)

N: Severity = "NORMAL"
M: Severity = "MEDIUM"
H: Severity = "HIGH"
C: Severity = "CRITICAL"


def kinds(
    desk: Desk,
    number: int,
    severity: Severity,
    *,
    newest: int | None = None,
    today: int | None = None,
) -> list[str]:
    verdict = verdict_of(number, severity, z1=0.0 if severity == N else -2.0)
    events = desk.take(verdict, newest=newest, today=today)
    return [event.kind for event in events]


class TestCoolDown:
    @pytest.mark.parametrize(
        ("severity", "nights"),
        [(M, 7), (H, 7), (C, 3)],
        ids=["MEDIUM", "HIGH", "CRITICAL"],
    )
    def test_the_same_severity_is_repeated_only_after_its_nights(
        self, severity: Severity, nights: int
    ) -> None:
        sent = Desk().night_by_night([severity] * (2 * nights + 1))

        message = f"RAISED {severity}"
        assert sent == [(1 + k * nights, message) for k in range(3)]

    def test_escalation_always_passes(self) -> None:
        sent = Desk().night_by_night([M, H, C])

        assert sent == [
            (1, "RAISED MEDIUM"),
            (2, "RAISED HIGH"),
            (3, "RAISED CRITICAL"),
        ]

    def test_a_higher_message_holds_back_the_lower_ones(self) -> None:
        sent = Desk().night_by_night([C, H, M, H, M, H, M, H])

        assert sent == [(1, "RAISED CRITICAL"), (8, "RAISED HIGH")]

    def test_a_night_without_data_does_not_stop_the_clock(self) -> None:
        desk = Desk()

        assert kinds(desk, 1, H) == ["RAISED"]
        assert kinds(desk, 7, H) == []
        assert kinds(desk, 8, H) == ["RAISED"]

    def test_the_same_verdict_twice_sends_once(self) -> None:
        desk = Desk()

        assert kinds(desk, 1, H) == ["RAISED"]
        assert kinds(desk, 1, H) == []


class TestChangedNights:
    def test_up_is_an_upgrade_with_the_next_revision(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, M))
        (event,) = desk.take(verdict_of(10, C))

        assert (event.kind, event.severity) == ("UPGRADED", C)
        assert (event.priority, event.revision) == ("HIGH", 2)
        assert desk.ledger == (
            LedgerEntry(night=day(10), severity=C, max_severity=C, revision=2),
        )

    def test_an_upgrade_obeys_the_cool_down_of_other_nights(self) -> None:
        desk = Desk()
        desk.take(verdict_of(9, M))
        desk.ledger = (
            LedgerEntry(night=day(8), severity=H, max_severity=H),
            *desk.ledger,
        )

        assert kinds(desk, 9, H) == []
        assert kinds(desk, 9, C) == ["UPGRADED"]

    def test_down_is_a_downgrade_without_priority(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, C))
        (event,) = desk.take(verdict_of(10, M))

        assert (event.kind, event.severity) == ("DOWNGRADED", M)
        assert (event.priority, event.revision) == ("NORMAL", 2)
        (entry,) = desk.ledger
        assert (entry.severity, entry.max_severity) == (M, C)

    def test_what_is_over_stays_over_when_it_was_less(self) -> None:
        desk = Desk()
        desk.night_by_night([H, N, N])
        (entry,) = desk.ledger
        assert entry.resolved
        (event,) = desk.take(verdict_of(1, M), newest=2)

        assert event.kind == "DOWNGRADED"
        (entry,) = desk.ledger
        assert (entry.resolved, entry.severity) == (True, M)

    def test_down_to_normal_takes_the_alert_back(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, H))
        (event,) = desk.take(verdict_of(10, N))

        assert (event.kind, event.severity, event.priority) == (
            "RETRACTED",
            N,
            "NORMAL",
        )
        (entry,) = desk.ledger
        assert (entry.severity, entry.max_severity) == (N, H)

    def test_a_deleted_night_takes_its_alert_back(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, H))
        (event,) = desk.take(verdict_of(10, N, value_ms=None))

        assert event.kind == "RETRACTED"

    def test_a_false_alert_no_longer_holds_the_cool_down(self) -> None:
        desk = Desk()
        desk.take(verdict_of(9, H))
        events = desk.take(verdict_of(9, N), verdict_of(10, H))

        assert [(event.kind, event.night) for event in events] == [
            ("RETRACTED", day(9)),
            ("RAISED", day(10)),
        ]

    def test_an_alert_taken_back_can_be_raised_again(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, H))
        desk.take(verdict_of(10, N))
        (event,) = desk.take(verdict_of(10, H))

        assert (event.kind, event.revision, event.priority) == ("RAISED", 3, "HIGH")

    def test_both_nights_arrive_late_and_in_the_wrong_order(self) -> None:
        late, on_time = Desk(), Desk()
        late.take(verdict_of(10, H), verdict_of(9, M), newest=10)
        on_time.take(verdict_of(9, M), newest=9)
        on_time.take(verdict_of(10, H), newest=10)

        assert late.ledger == on_time.ledger


class TestOldNights:
    @pytest.mark.parametrize(
        ("newest", "expected"), [(10, ["RAISED"]), (11, ["RAISED"]), (12, [])]
    )
    def test_only_the_two_newest_nights_page(
        self, newest: int, expected: list[str]
    ) -> None:
        assert kinds(Desk(), 10, C, newest=newest) == expected

    @pytest.mark.parametrize(
        ("today", "expected"),
        [(9, ["RAISED"]), (10, ["RAISED"]), (12, ["RAISED"]), (13, []), (40, [])],
    )
    def test_the_newest_night_pages_only_while_it_is_recent(
        self, today: int, expected: list[str]
    ) -> None:
        assert kinds(Desk(), 10, C, newest=10, today=today) == expected

    def test_a_night_in_the_future_never_pages(self) -> None:
        # One date ahead of the caller's is how the far east looks from UTC.
        assert kinds(Desk(), 12, C, newest=12, today=11) == ["RAISED"]
        assert kinds(Desk(), 12, C, newest=12, today=10) == []

    @pytest.mark.parametrize(("newest", "expected"), [(23, ["RETRACTED"]), (24, [])])
    def test_a_false_alert_is_taken_back_for_14_nights(
        self, newest: int, expected: list[str]
    ) -> None:
        desk = Desk()
        desk.take(verdict_of(10, H))

        assert kinds(desk, 10, N, newest=newest) == expected

    def test_an_old_night_is_neither_upgraded_nor_downgraded(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, H))
        before = desk.ledger

        assert kinds(desk, 10, C, newest=12) == []
        assert kinds(desk, 10, M, newest=12) == []
        assert desk.ledger == before

    def test_a_backfill_pages_for_no_night_at_all(self) -> None:
        desk = Desk()
        verdicts = [verdict_of(number, C) for number in range(1, 61)]

        assert desk.take(*verdicts, backfill=True) == ()
        assert desk.ledger == ()

    def test_a_backfill_still_takes_false_alerts_back(self) -> None:
        desk = Desk()
        desk.take(verdict_of(10, C))
        (event,) = desk.take(verdict_of(10, N), backfill=True)

        assert event.kind == "RETRACTED"

    def test_a_backfill_of_60_ill_nights_counts_at_once_and_pages_nobody(self) -> None:
        nights = nights_of([*alternating(58), 20.0, 18.0])
        dates = [night.night for night in nights]
        verdicts = judge_many(nights=nights, judged=dates, kind="RMSSD", ruleset=HRV_1)

        assert verdicts[-1].state == "ACTIVE"
        assert verdicts[-1].severity == H
        assert Desk().take(*verdicts, backfill=True) == ()


class TestLedger:
    def test_events_of_other_nights_leave_an_entry_alone(self) -> None:
        other = LedgerEntry(night=day(1), severity=M, max_severity=H, revision=4)
        events = Desk().take(verdict_of(9, H))

        assert apply_events(ledger=[other], events=events) == (
            other,
            LedgerEntry(night=day(9), severity=H, max_severity=H),
        )

    def test_the_order_of_verdicts_does_not_matter(self) -> None:
        verdicts = [verdict_of(9, H), verdict_of(10, C)]

        assert Desk().take(*verdicts) == Desk().take(*reversed(verdicts))

    def test_other_cool_downs_come_from_the_ruleset(self) -> None:
        often = replace(
            PERSONAL, name="often", sending=replace(PERSONAL.sending, high_nights=2)
        )

        sent = Desk(ruleset=often).night_by_night([H, H, H])
        assert [number for number, _ in sent] == [1, 3]

    def test_nothing_to_say_is_no_message(self) -> None:
        assert (
            emit(
                subject=SUBJECT,
                metric_family="RMSSD",
                verdicts=[],
                ledger=[],
                newest_night=day(1),
                today=day(1),
                ruleset=HRV_1,
            )
            == ()
        )

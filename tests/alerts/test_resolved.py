from __future__ import annotations

import pytest

from biometrics.alerts.emission import alert_id
from biometrics.alerts.ruleset import Severity
from tests.alerts.builders import SUBJECT, Desk, day, verdict_of

N: Severity = "NORMAL"
M: Severity = "MEDIUM"
H: Severity = "HIGH"
C: Severity = "CRITICAL"


class TestResolved:
    def test_two_quiet_nights_close_a_high_alert_once(self) -> None:
        sent = Desk().night_by_night([H, N, N, N, N])

        assert sent == [(1, "RAISED HIGH"), (3, "RESOLVED NORMAL")]

    def test_the_message_speaks_of_the_alerts_own_night(self) -> None:
        desk = Desk()
        desk.take(verdict_of(1, C))
        desk.take(verdict_of(2))
        (event,) = desk.take(verdict_of(3))

        assert (event.kind, event.night, event.verdict.night) == (
            "RESOLVED",
            day(1),
            day(3),
        )
        assert event.alert_id == alert_id(
            subject=SUBJECT, metric_family="RMSSD", night=day(1)
        )
        assert (event.priority, event.revision) == ("NORMAL", 2)
        (entry,) = desk.ledger
        assert (entry.resolved, entry.severity) == (True, C)

    @pytest.mark.parametrize(
        ("z1", "expected"), [(-1.0, []), (-0.99, ["RESOLVED"]), (None, [])]
    )
    def test_quiet_means_well_above_the_alarm(
        self, z1: float | None, expected: list[str]
    ) -> None:
        desk = Desk()
        desk.take(verdict_of(1, H))
        desk.take(verdict_of(2, z1=0.5))
        events = desk.take(verdict_of(3, z1=z1))

        assert [event.kind for event in events] == expected

    def test_nights_without_a_value_neither_count_nor_interrupt(self) -> None:
        desk = Desk()
        desk.take(verdict_of(1, H))

        assert not desk.take(verdict_of(2))
        assert not desk.take(verdict_of(3, value_ms=None))
        assert [event.kind for event in desk.take(verdict_of(4))] == ["RESOLVED"]

    def test_a_medium_night_between_starts_the_count_again(self) -> None:
        sent = Desk().night_by_night([H, N, M, N, N])

        assert sent == [(1, "RAISED HIGH"), (5, "RESOLVED NORMAL")]

    def test_a_medium_alert_is_not_resolved(self) -> None:
        assert Desk().night_by_night([M, N, N, N]) == [(1, "RAISED MEDIUM")]

    def test_an_alert_taken_back_is_not_resolved(self) -> None:
        desk = Desk()
        desk.take(verdict_of(1, H))
        desk.take(verdict_of(1, N))

        assert not desk.take(verdict_of(2))
        assert not desk.take(verdict_of(3))

    def test_every_open_alert_is_closed(self) -> None:
        sent = Desk().night_by_night([H, C, N, N])

        assert sent == [
            (1, "RAISED HIGH"),
            (2, "RAISED CRITICAL"),
            (4, "RESOLVED NORMAL"),
            (4, "RESOLVED NORMAL"),
        ]

    def test_taking_one_alert_back_can_close_another(self) -> None:
        desk = Desk()
        desk.night_by_night([H, N])
        desk.take(verdict_of(3, C))
        events = desk.take(verdict_of(3))

        assert [(event.kind, event.night) for event in events] == [
            ("RETRACTED", day(3)),
            ("RESOLVED", day(1)),
        ]

    def test_a_resolved_alert_still_holds_the_cool_down(self) -> None:
        sent = Desk().night_by_night([H, N, N, H, N, N, N, H])

        assert sent == [(1, "RAISED HIGH"), (3, "RESOLVED NORMAL"), (8, "RAISED HIGH")]

    def test_a_resolved_alert_that_was_false_is_still_taken_back(self) -> None:
        desk = Desk()
        desk.night_by_night([H, N, N])

        (event,) = desk.take(verdict_of(1), newest=5)

        assert event.kind == "RETRACTED"

    def test_old_nights_resolve_nothing(self) -> None:
        desk = Desk()
        desk.take(verdict_of(1, H))

        assert desk.take(verdict_of(2), verdict_of(3), newest=10) == ()

"""What an alert is called, how it travels, and which nights a change can reach."""

from __future__ import annotations

from uuid import UUID

import pytest

from biometrics.alerts.emission import affected_nights, alert_id, priority_of
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import Severity
from tests.alerts.builders import SUBJECT, Desk, day, verdict_of


class TestIdentity:
    def test_the_id_is_the_same_for_everybody_who_computes_it(self) -> None:
        # Computed apart: SHA-1 over namespace and "<subject>|RMSSD|2025-01-10|hrv".
        assert alert_id(subject=SUBJECT, metric_family="RMSSD", night=day(10)) == UUID(
            "a354872f-c787-544e-a304-64645258c2e3"
        )

    def test_person_family_and_night_make_the_difference(self) -> None:
        ids = {
            alert_id(subject=subject, metric_family=family, night=day(number))
            for subject in (SUBJECT, UUID(int=1))
            for family in ("RMSSD", "SDNN")
            for number in (1, 2)
        }

        assert len(ids) == 8

    @pytest.mark.parametrize(
        ("severity", "priority"),
        [
            ("CRITICAL", "HIGH"),
            ("HIGH", "HIGH"),
            ("MEDIUM", "MEDIUM"),
            ("NORMAL", "NORMAL"),
        ],
    )
    def test_priority_follows_severity(self, severity: Severity, priority: str) -> None:
        assert priority_of(severity) == priority

    def test_the_reasons_travel_with_the_message(self) -> None:
        (event,) = Desk().take(verdict_of(1, "HIGH"))

        assert event.reasons == ("HIGH_code",)


class TestAffectedNights:
    def test_from_the_changed_night_to_the_newest(self) -> None:
        nights = affected_nights(changed=day(5), newest_night=day(8), ruleset=HRV_1)

        assert nights == (day(5), day(6), day(7), day(8))

    def test_never_further_than_a_night_reaches(self) -> None:
        nights = affected_nights(changed=day(5), newest_night=day(500), ruleset=HRV_1)

        assert (nights[0], nights[-1]) == (day(5), day(5 + 66))

    def test_a_night_after_the_newest_affects_none(self) -> None:
        assert not affected_nights(changed=day(9), newest_night=day(8), ruleset=HRV_1)

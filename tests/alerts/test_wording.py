from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from biometrics.alerts.baseline import Corroboration
from biometrics.alerts.emission import AlertEvent, EventKind
from biometrics.alerts.evidence import verdict_json
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import Verdict
from biometrics.alerts.wording import (
    COMMON_REASONS,
    DISCLAIMER,
    LIMITS_OF_USE,
    announce,
    describe,
    evidence,
    label,
)
from tests.alerts.builders import (
    alternating,
    day,
    judged,
    nights_of,
    verdict_of,
    with_z,
)
from tests.alerts.forbidden import forbidden_in

RISES = (
    Corroboration(signal="RHR", value=58.4, usual=52.0, delta=6.4, z=2.5),
    Corroboration(signal="RR", value=16.6, usual=15.2, delta=1.4, z=2.3),
    Corroboration(signal="TEMP", value=0.8, usual=0.1, delta=0.7, z=2.4),
)
KINDS: tuple[EventKind, ...] = (
    "RAISED",
    "UPGRADED",
    "DOWNGRADED",
    "RETRACTED",
    "RESOLVED",
)


def second_low_night() -> Verdict:
    values = with_z(alternating(40), -2.01, -2.01)
    nights = nights_of(values, rhr=[52.0] * 40 + [52.0, 58.0])
    return judged(nights, ruleset=HRV_1)


def event_of(kind: EventKind, verdict: Verdict) -> AlertEvent:
    return AlertEvent(
        kind=kind,
        alert_id=UUID(int=1),
        night=verdict.night,
        severity=verdict.severity,
        priority="NORMAL",
        revision=1,
        reasons=verdict.reasons,
        verdict=verdict,
    )


def verdicts() -> Iterator[Verdict]:
    yield second_low_night()
    yield judged(nights_of([20.0]), ruleset=HRV_1)
    yield judged(nights_of([55.0, 20.0]), ruleset=HRV_1)
    yield judged(nights_of([*alternating(9), 20.0]), ruleset=HRV_1)
    yield judged(nights_of([*alternating(40), None]), ruleset=HRV_1)
    yield judged(nights_of([*alternating(40), 55.0]), ruleset=HRV_1)
    yield judged(nights_of([*alternating(40), *[40.0] * 7]), ruleset=HRV_1)
    yield replace(
        verdict_of(1, "CRITICAL"),
        limit_ms=25.0,
        low_nights=7,
        low_week=True,
        corroborators=RISES,
        state="PROVISIONAL",
    )


class TestText:
    def test_a_second_low_night(self) -> None:
        assert describe(verdict=second_low_night()) == (
            "HRV was 43 ms, own usual 48-61 ms, second low night, resting heart rate"
            " +6 bpm. Common reasons: hard training, alcohol, poor sleep, travel,"
            " vaccination, starting illness. Check in with the person. Wellness"
            " information, not a diagnosis."
        )

    def test_a_first_night_below_a_fixed_limit(self) -> None:
        verdict = judged(nights_of([20.0]), ruleset=HRV_1)

        assert describe(verdict=verdict).startswith(
            "HRV was 20 ms, own usual not known yet (0 nights so far), below the fixed"
            " limit of 25 ms. Such values are usual for many healthy people."
        )
        assert label(verdict=verdict) == "Low value by a fixed limit"

    def test_an_estimate_says_that_it_is_one(self) -> None:
        verdict = judged(nights_of([*alternating(9), 40.0]))

        assert evidence(verdict=verdict) == (
            "HRV was 40 ms, own usual 47-63 ms (estimate from 9 nights)."
        )

    def test_a_low_week(self) -> None:
        verdict = judged(nights_of([*alternating(40), *[45.0] * 7]))

        assert "low on average over the last nights" in evidence(verdict=verdict)

    def test_every_confirming_signal_is_named_with_its_rise(self) -> None:
        verdict = replace(verdict_of(1, "CRITICAL"), corroborators=RISES)

        assert evidence(verdict=verdict) == (
            "HRV was 50 ms, own usual 48-63 ms, resting heart rate +6 bpm, breathing"
            " rate +1.4 per minute, skin temperature +0.7 °C."
        )

    def test_a_quiet_night_gives_no_advice(self) -> None:
        text = describe(verdict=verdict_of(1))

        assert COMMON_REASONS not in text
        assert "Check in" not in text

    def test_medium_asks_nobody_to_act(self) -> None:
        assert "Check in" not in describe(verdict=verdict_of(1, "MEDIUM"))

    def test_a_change_is_named_as_a_change_from_the_own_baseline(self) -> None:
        assert label(verdict=verdict_of(1, "CRITICAL")) == (
            "Marked change from own baseline"
        )
        assert label(verdict=verdict_of(1)) == "No alert"

    @pytest.mark.parametrize(
        ("kind", "opening"),
        [
            ("RAISED", "HRV was"),
            ("UPGRADED", "Judged again: this night stands out more"),
            ("DOWNGRADED", "Judged again: this night stands out less"),
            ("RETRACTED", "Judged again: the earlier alert does not"),
            ("RESOLVED", "Back to usual"),
        ],
    )
    def test_each_message_says_what_it_does(
        self, kind: EventKind, opening: str
    ) -> None:
        text = announce(event=event_of(kind, verdict_of(1, "HIGH")))

        assert text.startswith(opening)


class TestRules:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_message_ends_with_the_disclaimer(self, kind: EventKind) -> None:
        for verdict in verdicts():
            assert announce(event=event_of(kind, verdict)).endswith(DISCLAIMER)

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_message_speaks_like_a_medical_device(self, kind: EventKind) -> None:
        for verdict in verdicts():
            text = announce(event=event_of(kind, verdict))
            assert forbidden_in(text) == []
            assert forbidden_in(label(verdict=verdict)) == []

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_message_fits_its_column(self, kind: EventKind) -> None:
        for verdict in verdicts():
            assert len(announce(event=event_of(kind, verdict))) <= 500

    def test_the_limits_of_use_say_what_it_is_not(self) -> None:
        assert "Not a medical device" in LIMITS_OF_USE
        assert "never the only safeguard" in LIMITS_OF_USE


class TestJson:
    def test_it_holds_the_whole_evidence_in_json_types(self) -> None:
        found = verdict_json(verdict=second_low_night())

        assert json.loads(json.dumps(found)) == found
        assert found["night"] == day(42).isoformat()
        assert found["severity"] == "HIGH"
        assert found["z1"] == pytest.approx(-2.01)
        assert found["nights"] == 41
        assert found["ruleset"] == "hrv-1"
        assert found["corroborators"] == [
            {"signal": "RHR", "value": 58.0, "usual": 52.0, "delta": 6.0, "z": 4.0}
        ]

    def test_what_is_unknown_is_null(self) -> None:
        found = verdict_json(verdict=judged(nights_of([50.0])))

        assert (found["z1"], found["range_ms"], found["z7"]) == (None, None, None)

from __future__ import annotations

from dataclasses import replace

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import assess_level
from biometrics.alerts.ruleset import (
    AbsoluteRule,
    AlertSeverity,
    DropRule,
    LevelRule,
    Mode,
    Ruleset,
    Severity,
    with_absolute_mode,
)
from biometrics.alerts.validation import RulesetError
from tests.alerts.builders import PERSONAL, alternating, judged, nights_of


def only(limit: AbsoluteRule | DropRule) -> Ruleset:
    if isinstance(limit, AbsoluteRule):
        return replace(PERSONAL, name="limit", rules=(), absolute=(limit,))
    return replace(PERSONAL, name="limit", rules=(), drops=(limit,))


class TestFixedLimits:
    @pytest.mark.parametrize(
        ("mode", "before", "low", "expected"),
        [
            ("until_baseline", 0, 24, "CRITICAL"),
            ("until_baseline", 13, 24, "CRITICAL"),
            ("until_baseline", 14, 24, "NORMAL"),
            ("always", 0, 24, "CRITICAL"),
            ("always", 14, 24, "CRITICAL"),
            ("guarded", 0, 24, "MEDIUM"),
            ("guarded", 13, 24, "MEDIUM"),
            # Active and low for this person: the code, but never a page of its own.
            ("guarded", 14, 15, "MEDIUM"),
            ("guarded", 14, 24, "NORMAL"),
            ("off", 0, 24, "NORMAL"),
            ("off", 14, 15, "NORMAL"),
        ],
    )
    def test_each_mode_before_and_after_the_baseline(
        self, mode: Mode, before: int, low: float, expected: Severity
    ) -> None:
        limit = AbsoluteRule(below_ms=25, severity="CRITICAL", mode=mode)
        # A person whose usual nights are 26 and 30 ms: 24 is low, but usual enough.
        nights = nights_of([*alternating(before, low=26, high=30), low])
        verdict = judged(nights, ruleset=only(limit))

        reasons = () if expected == "NORMAL" else (f"A_hrv<25_{mode}",)
        assert (verdict.severity, verdict.reasons) == (expected, reasons)

    @pytest.mark.parametrize(
        ("value", "code", "severity", "limit"),
        [
            (24.9, "A_hrv<25_until_baseline", "CRITICAL", 25.0),
            (25.0, "A_hrv<40_until_baseline", "HIGH", 40.0),
            (39.9, "A_hrv<40_until_baseline", "HIGH", 40.0),
        ],
    )
    def test_only_the_worst_limit_speaks(
        self, value: float, code: str, severity: Severity, limit: float
    ) -> None:
        verdict = judged(nights_of([value]), ruleset=HRV_1)

        assert (verdict.reasons, verdict.severity) == ((code,), severity)
        assert verdict.limit_ms == limit

    def test_at_the_limit_nothing_speaks(self) -> None:
        verdict = judged(nights_of([40.0]), ruleset=HRV_1)

        assert (verdict.severity, verdict.limit_ms) == ("NORMAL", None)

    def test_the_provisional_cap_does_not_hold_for_them(self) -> None:
        verdict = judged(nights_of([*alternating(8), 20.0]), ruleset=HRV_1)

        assert verdict.state == "PROVISIONAL"
        assert verdict.severity == "CRITICAL"
        assert verdict.reasons == (
            "H5_z<=-3.0",
            "M1_z<=-1.5",
            "A_hrv<25_until_baseline",
        )

    def test_sdnn_has_none_by_default(self) -> None:
        verdict = judged(nights_of([20.0]), kind="SDNN", ruleset=HRV_1)

        assert verdict.severity == "NORMAL"

    def test_sdnn_can_have_its_own(self) -> None:
        limit = AbsoluteRule(below_ms=30, severity="HIGH", kind="SDNN")

        assert judged(nights_of([20.0]), kind="SDNN", ruleset=only(limit)).reasons
        assert not judged(nights_of([20.0]), kind="RMSSD", ruleset=only(limit)).reasons

    def test_one_mode_for_all_shows_in_the_name(self) -> None:
        always = with_absolute_mode(ruleset=HRV_1, mode="always")
        verdict = judged(nights_of(alternating(30, low=20, high=24)), ruleset=always)

        assert verdict.severity == "CRITICAL"
        assert verdict.ruleset == "hrv-1+always"
        assert with_absolute_mode(ruleset=HRV_1, mode="until_baseline") is HRV_1


class TestDrops:
    @pytest.mark.parametrize(
        ("drop", "value", "code"),
        [
            (
                DropRule(percent=30, severity="HIGH", mode="always"),
                38.3,
                "A_drop>30%_always",
            ),
            (DropRule(percent=30, severity="HIGH", mode="always"), 38.4, None),
            (
                DropRule(ms=25, severity="HIGH", mode="always"),
                29.7,
                "A_drop>25ms_always",
            ),
            (DropRule(ms=25, severity="HIGH", mode="always"), 29.8, None),
            (DropRule(percent=30, severity="HIGH"), 20.0, None),
        ],
    )
    def test_they_measure_from_the_own_baseline(
        self, drop: DropRule, value: float, code: str | None
    ) -> None:
        # Own baseline 54.77 ms: 70 % of it is 38.34, 25 ms less 29.77.
        verdict = judged(nights_of([*alternating(20), value]), ruleset=only(drop))

        assert verdict.reasons == (() if code is None else (code,))
        assert verdict.severity == ("NORMAL" if code is None else "HIGH")

    def test_without_a_baseline_there_is_no_drop(self) -> None:
        drop = DropRule(percent=30, severity="HIGH", mode="always")

        assert not judged(nights_of([*alternating(6), 5.0]), ruleset=only(drop)).reasons

    def test_hrv_1_has_them_switched_off(self) -> None:
        assert {drop.mode for drop in HRV_1.drops} == {"off"}
        verdict = judged(nights_of([*alternating(20), 30.0]), ruleset=HRV_1)
        assert not any(code.startswith("A_") for code in verdict.reasons)


def of_sleep_score(score: float | None, *, ruleset: Ruleset) -> Severity:
    return assess_level(metric="sleep_score", value=score, ruleset=ruleset).severity


class TestLevels:
    @pytest.mark.parametrize(
        ("score", "severity"),
        [(69, "MEDIUM"), (69.9, "MEDIUM"), (70, "NORMAL"), (100, "NORMAL")],
    )
    def test_a_sleep_score_below_70_is_medium(
        self, score: float, severity: Severity
    ) -> None:
        assert of_sleep_score(score, ruleset=HRV_1) == severity

    @pytest.mark.parametrize("score", [None, float("nan")])
    def test_a_missing_score_says_nothing(self, score: float | None) -> None:
        assert of_sleep_score(score, ruleset=HRV_1) == "NORMAL"

    def test_a_rule_for_another_metric_is_an_entry(self) -> None:
        level = LevelRule(metric="readiness_score", below=60, severity="MEDIUM")
        ours = replace(HRV_1, name="ours", levels=(*HRV_1.levels, level))

        found = assess_level(metric="readiness_score", value=59, ruleset=ours)
        assert (found.severity, found.reasons) == ("MEDIUM", ("L_readiness_score<60",))
        assert not assess_level(
            metric="readiness_score", value=59, ruleset=HRV_1
        ).reasons

    @pytest.mark.parametrize(
        ("value", "reasons"),
        [(37.9, ()), (38.0, ()), (38.1, ("L_body_temperature>38",)), (None, ())],
    )
    def test_a_rule_may_hold_above_its_limit(
        self, value: float | None, reasons: tuple[str, ...]
    ) -> None:
        level = LevelRule(metric="body_temperature", above=38, severity="MEDIUM")
        ours = replace(HRV_1, name="ours", levels=(level,))
        found = assess_level(metric="body_temperature", value=value, ruleset=ours)
        assert found.reasons == reasons

    @pytest.mark.parametrize("sides", [{}, {"below": 1, "above": 2}])
    def test_a_rule_has_one_limit(self, sides: dict[str, float]) -> None:
        with pytest.raises(RulesetError, match="either below or above"):
            LevelRule(metric="sleep_score", severity="MEDIUM", **sides)

    @pytest.mark.parametrize(
        ("value", "severity"), [(65, "MEDIUM"), (45, "HIGH"), (75, "NORMAL")]
    )
    def test_the_worst_of_several_levels_counts(
        self, value: float, severity: Severity
    ) -> None:
        limits: list[tuple[float, AlertSeverity]] = [(70, "MEDIUM"), (50, "HIGH")]
        ours = replace(
            HRV_1,
            name="ours",
            levels=tuple(
                LevelRule(metric="sleep_score", below=below, severity=rank)
                for below, rank in limits
            ),
        )

        assert of_sleep_score(value, ruleset=ours) == severity

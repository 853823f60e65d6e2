from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Night
from biometrics.alerts.rules import (
    judge,
    judge_many,
)
from biometrics.alerts.ruleset import (
    Feature,
    Rule,
    Severity,
    with_absolute_mode,
)
from tests.alerts.builders import (
    PERSONAL,
    alternating,
    day,
    judged,
    nights_of,
    with_z,
)

USUAL = alternating(40)
# A step that clears each signal's rise and its z on a quiet baseline.
RHR_UP, RR_UP, TEMP_UP = 58.0, 17.0, 1.2

K1 = "K1_2of3_z<=-2.0_corroborated_twice"
K2 = "K2_z<=-3.0_two_corroborators"
H1 = "H1_2of3_z<=-1.75"
H2 = "H2_z7<=-1.25"
H3 = "H3_z<=-1.5_two_corroborators"
H4 = "H4_2of3_z<=-1.5_one_corroborator"
H5 = "H5_z<=-3.0"
M1 = "M1_z<=-1.5"
M2 = "M2_z7<=-1.0"


def history(
    *scores: float | None, confirmed: Sequence[int] = (), signals: int = 1
) -> list[Night]:
    """Return 40 usual nights, then one for each score (None: not worn).

    On the nights of the scores numbered in `confirmed` (0 is the first) so many other
    signals rise with it.
    """
    values: list[float | None] = list(USUAL)
    for score in scores:
        values = [*values, None] if score is None else with_z(values, score)

    def series(usual: float, raised: float, rank: int) -> list[float | None]:
        last = [
            raised if index in confirmed and rank <= signals else usual
            for index in range(len(scores))
        ]
        return [*[usual] * len(USUAL), *last]

    return nights_of(
        values,
        rhr=series(50.0, RHR_UP, 1),
        rr=series(15.0, RR_UP, 2),
        temp=series(0.0, TEMP_UP, 3),
    )


class TestPersonalRules:
    @pytest.mark.parametrize(
        ("nights", "severity", "reasons"),
        [
            (history(-1.49), "NORMAL", ()),
            (history(-1.51), "MEDIUM", (M1,)),
            (history(-2.99), "MEDIUM", (M1,)),
            (history(-3.01), "HIGH", (H5, M1)),
            (history(-1.76, -1.76), "HIGH", (H1, M1)),
            (history(-1.74, -1.74), "MEDIUM", (M1,)),
            (history(-1.76, 0.5, -1.76), "HIGH", (H1, M1)),
            (history(-1.76, None, -1.76), "HIGH", (H1, M1)),
            (history(-1.76, 0.5, 0.5, -1.76), "MEDIUM", (M1,)),
            (history(-1.76, None, None, -1.76), "MEDIUM", (M1,)),
            (history(-2.5, -2.5, 0.5), "NORMAL", ()),
            (history(-1.51, confirmed=[0], signals=2), "HIGH", (H3, M1)),
            (history(-1.51, confirmed=[0], signals=1), "MEDIUM", (M1,)),
            (history(-1.49, confirmed=[0], signals=3), "NORMAL", ()),
            (history(-1.51, -1.51, confirmed=[1]), "HIGH", (H4, M1)),
            (history(-1.51, -1.51, confirmed=[0]), "MEDIUM", (M1,)),
            (history(-3.01, confirmed=[0], signals=1), "HIGH", (H5, M1)),
            (
                history(-3.01, confirmed=[0], signals=2),
                "CRITICAL",
                (K2, H3, H5, M1),
            ),
            (
                history(-2.01, -2.01, confirmed=[0, 1]),
                "CRITICAL",
                (K1, H1, H4, M1),
            ),
            (history(-2.01, -2.01, confirmed=[1]), "HIGH", (H1, H4, M1)),
            (history(-1.99, -1.99, confirmed=[0, 1]), "HIGH", (H1, H4, M1)),
            # The two confirmed nights need not be the two lowest ones.
            (
                history(-1.6, -2.01, -2.01, confirmed=[0, 2]),
                "CRITICAL",
                (K1, H1, H4, M1),
            ),
            (history(-1.4, -2.01, -2.01, confirmed=[0, 2]), "HIGH", (H1, H4, M1)),
        ],
    )
    def test_each_rule_at_its_threshold(
        self, nights: list[Night], severity: Severity, reasons: tuple[str, ...]
    ) -> None:
        verdict = judged(nights)

        assert (verdict.severity, verdict.reasons) == (severity, reasons)

    @pytest.mark.parametrize("feature", ["z1", "z7"])
    def test_a_value_on_the_threshold_is_low_enough(self, feature: Feature) -> None:
        nights = history(-1.6, -1.7, -1.8, -1.9)
        found = judged(nights)
        reached = found.z1 if feature == "z1" else found.z7
        assert reached is not None

        def held(at_most: float) -> bool:
            rule = Rule(code="R", severity="HIGH", feature=feature, at_most=at_most)
            ours = replace(PERSONAL, name="ours", rules=(rule,))
            return judged(nights, ruleset=ours).reasons == ("R",)

        assert held(reached)
        assert not held(math.nextafter(reached, -math.inf))

    def test_so_it_is_for_the_nights_before_and_their_confirmation(self) -> None:
        nights = history(-1.7, -2.5, confirmed=[0, 1])
        before = judged(nights, len(nights) - 1).z1
        assert before is not None

        def held(at_most: float, confirmed_at_most: float) -> bool:
            rule = Rule(
                code="R",
                severity="HIGH",
                at_most=at_most,
                nights=2,
                of=3,
                corroborated_nights=2,
                corroborated_at_most=confirmed_at_most,
            )
            ours = replace(PERSONAL, name="ours", rules=(rule,))
            return judged(nights, ruleset=ours).reasons == ("R",)

        lower = math.nextafter(before, -math.inf)
        assert held(before, before)
        assert not held(lower, before)
        assert not held(before, lower)

    @pytest.mark.parametrize(
        ("z7", "severity", "reasons"),
        [
            (-0.99, "NORMAL", ()),
            (-1.01, "MEDIUM", (M2,)),
            (-1.24, "MEDIUM", (M2,)),
            (-1.26, "HIGH", (H2, M2)),
        ],
    )
    def test_a_low_week_counts_even_when_no_night_is_low(
        self, z7: float, severity: Severity, reasons: tuple[str, ...]
    ) -> None:
        # Seven equal nights at that distance from the baseline before them.
        level = with_z(USUAL, z7)[-1]
        verdict = judged(nights_of([*USUAL, *[level] * 7]))

        assert verdict.z7 == pytest.approx(z7)
        assert (verdict.severity, verdict.reasons) == (severity, reasons)
        assert verdict.low_week is (severity != "NORMAL")
        assert verdict.low_nights == 0

    def test_a_provisional_baseline_caps_the_severity_and_keeps_the_reasons(
        self,
    ) -> None:
        verdict = judged(nights_of([*alternating(13), 20.0]))

        assert verdict.state == "PROVISIONAL"
        assert verdict.severity == "MEDIUM"
        assert verdict.reasons == (H5, M1)

    def test_low_nights_counts_back_from_tonight_without_a_gap(self) -> None:
        assert judged(history(-2.0, -2.0, -2.0)).low_nights == 3
        assert judged(history(-2.0, 0.0, -2.0)).low_nights == 1
        assert judged(history(-2.0, None, -2.0)).low_nights == 1
        assert judged(history(-2.0, 0.0)).low_nights == 0


class TestThresholdOffset:
    def test_it_lowers_every_personal_threshold(self) -> None:
        nights = history(-1.6)

        assert judged(nights).severity == "MEDIUM"
        assert judged(nights, threshold_offset=0.25).severity == "NORMAL"

    def test_it_reaches_nights_weeks_and_confirmations(self) -> None:
        twice = history(-2.2, -2.2, confirmed=[0, 1])
        week = nights_of([*USUAL, *[45.0] * 7])

        assert judged(twice, threshold_offset=0.0).severity == "CRITICAL"
        assert judged(twice, threshold_offset=0.25).severity == "HIGH"
        assert judged(twice, threshold_offset=0.75).severity == "NORMAL"
        assert H2 in judged(week).reasons
        assert H2 not in judged(week, threshold_offset=0.5).reasons

    def test_it_holds_for_the_nights_before_too(self) -> None:
        # Tonight is low enough with the offset, the night before only without it.
        verdict = judged(history(-1.8, -2.05), threshold_offset=0.25)

        assert verdict.reasons == (M1,)

    def test_it_holds_for_the_nights_that_are_confirmed(self) -> None:
        nights = history(-1.6, -2.3, -2.3, confirmed=[0, 2])

        assert K1 in judged(nights).reasons
        assert judged(nights, threshold_offset=0.25).reasons == (H1, H4, M1)

    def test_the_verdict_says_which_offset_it_used(self) -> None:
        assert judged(history(0.0), threshold_offset=0.5).threshold_offset == 0.5

    def test_it_does_not_touch_fixed_limits(self) -> None:
        nights = nights_of([20.0])

        assert (
            judged(nights, ruleset=HRV_1, threshold_offset=2.0).severity == "CRITICAL"
        )

    @pytest.mark.parametrize("offset", [-0.25, 2.25, float("nan"), float("inf")])
    def test_an_offset_out_of_range_is_refused(self, offset: float) -> None:
        with pytest.raises(
            ValueError, match="threshold_offset must lie between 0 and 2"
        ):
            judged(nights_of([50.0]), threshold_offset=offset)


class TestBadInput:
    @pytest.mark.parametrize(
        "value", [0, 0.0, -5, None, float("nan"), float("inf"), 0.042, 2.9, 10_000, 301]
    )
    def test_an_unusable_value_is_a_missing_value(self, value: float | None) -> None:
        nights = nights_of([*alternating(20), value])
        verdict = judged(
            nights, ruleset=with_absolute_mode(ruleset=HRV_1, mode="always")
        )

        assert (verdict.severity, verdict.reasons) == ("NORMAL", ())
        assert (verdict.value_ms, verdict.z1) == (None, None)

    @pytest.mark.parametrize("value", [0, None, float("nan"), 0.042, 10_000])
    def test_nor_does_it_enter_the_baseline(self, value: float | None) -> None:
        spoiled = nights_of([*alternating(20), value, 42])
        clean = nights_of([*alternating(20), None, 42])

        assert judged(spoiled) == judged(clean)

    @pytest.mark.parametrize("value", [0, 24.9, 150.1, float("nan")])
    def test_an_unusable_heart_rate_confirms_nothing(self, value: float) -> None:
        nights = nights_of([*alternating(20), 42], rhr=[50.0] * 20 + [value])

        assert judged(nights).corroborators == ()

    def test_a_deleted_night_is_a_missing_night(self) -> None:
        nights = nights_of([*alternating(20), 20.0])
        deleted = [*nights[:-1], replace(nights[-1], value_ms=None)]

        assert judged(nights).severity == "HIGH"
        assert judged(deleted).severity == "NORMAL"
        assert judged(deleted) == judged(nights[:-1], 21)

    def test_nights_after_the_judged_one_are_not_looked_at(self) -> None:
        nights = [*nights_of([*alternating(20), 42]), Night(night=day(400), value_ms=9)]

        assert judged(nights, 21) == judged(nights[:21])

    def test_no_nights_at_all(self) -> None:
        verdict = judge(nights=[], night=day(1), kind="RMSSD", ruleset=HRV_1)

        assert (verdict.severity, verdict.state, verdict.n) == (
            "NORMAL",
            "CALIBRATING",
            0,
        )


def test_many_nights_at_once_are_judged_like_each_alone() -> None:
    nights = history(
        -1.6, -2.01, -2.01, None, -3.1, 0.3, confirmed=[0, 2, 4], signals=2
    )
    dates = [night.night for night in nights]
    together = judge_many(nights=nights, judged=dates, kind="RMSSD", ruleset=HRV_1)

    alone = [
        judge(nights=nights, night=night, kind="RMSSD", ruleset=HRV_1)
        for night in dates
    ]
    assert list(together) == alone

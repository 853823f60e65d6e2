from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from biometrics.alerts.baseline import History, baseline_of
from biometrics.alerts.hrv_1 import HRV_1
from tests.alerts.builders import PERSONAL, alternating, day, judged, nights_of


class TestBaseline:
    def test_the_spread_is_pulled_towards_the_population(self) -> None:
        calm = [4.0, 4.01] * 10
        found = baseline_of(values=calm, signal=HRV_1.rmssd, prior_weight=6)

        assert found is not None
        expected = math.sqrt((6 * 0.2**2 + 19 * statistics.variance(calm)) / 25)
        assert found.sd == pytest.approx(expected, abs=1e-12)
        assert found.sd > 5 * statistics.stdev(calm)

    def test_the_spread_never_falls_below_the_floor(self) -> None:
        flat = [4.0] * 60
        found = baseline_of(values=flat, signal=HRV_1.rmssd, prior_weight=0.5)

        assert found is not None
        assert found.sd == 0.08

    @pytest.mark.parametrize(
        ("outlier", "clipped"), [(1.0, 4.0 - 5 * 0.08), (9.0, 4.0 + 3 * 0.08)]
    )
    def test_hrv_artefacts_are_pulled_to_an_uneven_edge(
        self, outlier: float, clipped: float
    ) -> None:
        found = baseline_of(
            values=[4.0] * 20 + [outlier], signal=HRV_1.rmssd, prior_weight=6
        )

        assert found is not None
        assert found.mean == pytest.approx((20 * 4.0 + clipped) / 21)

    @pytest.mark.parametrize(
        ("outlier", "clipped"), [(30.0, 50 - 3 * 1.5), (90.0, 50 + 5 * 1.5)]
    )
    def test_corroborators_are_clipped_the_other_way_round(
        self, outlier: float, clipped: float
    ) -> None:
        found = baseline_of(
            values=[50.0] * 20 + [outlier], signal=HRV_1.rhr, prior_weight=6
        )

        assert found is not None
        assert found.mean == pytest.approx((20 * 50 + clipped) / 21)

    @pytest.mark.parametrize("values", [[], [4.0]])
    def test_one_night_is_no_baseline(self, values: list[float]) -> None:
        assert baseline_of(values=values, signal=HRV_1.rmssd, prior_weight=6) is None


class TestState:
    @pytest.mark.parametrize(
        ("nights", "state"),
        [
            (0, "CALIBRATING"),
            (6, "CALIBRATING"),
            (7, "PROVISIONAL"),
            (13, "PROVISIONAL"),
            (14, "ACTIVE"),
        ],
    )
    def test_it_follows_the_nights_before_tonight(
        self, nights: int, state: str
    ) -> None:
        verdict = judged(nights_of([*alternating(nights), 55]))

        assert (verdict.n, verdict.state) == (nights, state)

    def test_no_scores_while_calibrating(self) -> None:
        verdict = judged(nights_of([*alternating(6), 5]))

        assert verdict.z1 is None
        assert verdict.baseline_ms is None
        assert verdict.range_ms is None
        assert verdict.severity == "NORMAL"

    def test_one_night_a_week_never_gets_beyond_provisional(self) -> None:
        weekly = nights_of(
            [55.0 if index % 7 == 0 else None for index in range(7 * 30 + 1)]
        )
        verdict = judged(weekly)

        # Eight of the sixty nights before are worn: a first estimate, capped.
        assert (verdict.n, verdict.state, verdict.z7) == (8, "PROVISIONAL", None)

    def test_a_night_without_a_value_is_normal_and_still_has_a_baseline(self) -> None:
        verdict = judged(nights_of([*alternating(20), None], rhr=[50.0] * 20 + [80.0]))

        assert (verdict.severity, verdict.z1, verdict.value_ms) == (
            "NORMAL",
            None,
            None,
        )
        assert verdict.baseline_ms == pytest.approx(54.772256)
        assert verdict.corroborators == ()


class TestWindow:
    def test_a_61_nights_old_value_has_no_effect_on_tonights_baseline(self) -> None:
        old = judged(nights_of([7, *alternating(60), 42]))
        plain = judged(nights_of([None, *alternating(60), 42]))

        assert (old.n, old.z1, old.range_ms) == (60, plain.z1, plain.range_ms)
        # The week is compared with a baseline that ended six nights earlier.
        assert old.z7 != plain.z7

    def test_a_67_nights_old_value_has_no_effect_at_all(self) -> None:
        old = judged(nights_of([7, *alternating(66), 42]))

        assert old == judged(nights_of([None, *alternating(66), 42]))

    def test_a_60_nights_old_value_counts(self) -> None:
        nights = nights_of([7, *alternating(59), 42])

        assert judged(nights).n == 60
        assert judged(nights).z1 != judged(nights[1:], 61).z1

    def test_tonight_is_not_part_of_its_own_baseline(self) -> None:
        low = judged(nights_of([*alternating(20), 20]))
        usual = judged(nights_of([*alternating(20), 55]))

        assert low.baseline_ms == usual.baseline_ms

    def test_later_nights_change_nothing(self) -> None:
        nights = nights_of([*alternating(20), 42, 10, 10])

        assert judged(nights, 21) == judged(nights[:21], 21)

    def test_the_lookback_is_as_far_as_a_night_can_reach(self) -> None:
        values = [*alternating(100), 42, 41, 40]
        nights = nights_of(values)
        reach = PERSONAL.lookback_nights

        assert judged(nights[-reach - 1 :], 103) == judged(nights)
        assert judged(nights[-reach:], 103) != judged(nights)


class TestWeek:
    def test_its_baseline_ends_before_it_begins(self) -> None:
        verdict = judged(nights_of([*alternating(20), *[44.0] * 7]))
        logs = [math.log(50), math.log(60)] * 10
        sd = math.sqrt((6 * 0.04 + 19 * statistics.variance(logs)) / 25)

        expected = (math.log(44) - statistics.fmean(logs)) / sd
        assert verdict.z7 == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize(
        ("week", "known"),
        [
            ([44, 44, 44, None, None, None, 44], True),
            ([44, 44, None, None, None, None, 44], False),
            ([44, 44, 44, 44, 44, 44, None], False),
        ],
        ids=["four nights", "three nights", "tonight missing"],
    )
    def test_it_needs_four_nights_and_tonight(
        self, *, week: list[float | None], known: bool
    ) -> None:
        assert (judged(nights_of([*alternating(20), *week])).z7 is not None) is known

    @pytest.mark.parametrize(("before", "known"), [(13, False), (14, True)])
    def test_its_baseline_must_be_active(self, *, before: int, known: bool) -> None:
        verdict = judged(nights_of([*alternating(before), *[44.0] * 7]))

        assert (verdict.z7 is not None) is known

    def test_cv7_is_the_weeks_variation_in_percent(self) -> None:
        week = [40.0, 44.0, 48.0, 52.0, 50.0, 46.0, 42.0]
        verdict = judged(nights_of([*alternating(20), *week]))
        logs = [math.log(value) for value in week]

        expected = 100 * statistics.stdev(logs) / statistics.fmean(logs)
        assert verdict.cv7 == pytest.approx(expected)


class TestCorroborators:
    @pytest.mark.parametrize(
        ("usual", "tonight", "found"),
        [
            # SD 1.5 (floor): +3.0 bpm is the stricter part.
            ([50.0] * 14, 53.0, ["RHR"]),
            ([50.0] * 14, 52.99, []),
            # SD 4.0: 1.5 SD is the stricter part, 6.0 bpm.
            ([44.0, 56.0] * 30, 55.0, []),
            ([44.0, 56.0] * 30, 60.0, ["RHR"]),
            ([50.0] * 13, 70.0, []),
        ],
        ids=["rise", "too small", "within own spread", "beyond it", "13 nights"],
    )
    def test_resting_heart_rate_must_rise_enough_and_unusually(
        self, usual: list[float | None], tonight: float, found: list[str]
    ) -> None:
        low_prior = replace(
            PERSONAL, name="tight", rhr=replace(PERSONAL.rhr, prior_sd=0.5)
        )
        nights = nights_of([*alternating(len(usual)), 55.0], rhr=[*usual, tonight])
        verdict = judged(nights, ruleset=low_prior)

        assert [item.signal for item in verdict.corroborators] == found

    @pytest.mark.parametrize(
        ("signal", "quiet", "loud"),
        [("rr", 15.99, 16.3), ("temp", 0.49, 1.0)],
    )
    def test_breathing_and_temperature_have_their_own_steps(
        self, signal: str, quiet: float, loud: float
    ) -> None:
        usual = [15.0 if signal == "rr" else 0.0] * 20

        def found(tonight: float) -> list[str]:
            series: list[float | None] = [*usual, tonight]
            rr, temp = (series, ()) if signal == "rr" else ((), series)
            nights = nights_of([*alternating(20), 55.0], rr=rr, temp=temp)
            return [item.signal for item in judged(nights).corroborators]

        assert found(quiet) == []
        assert found(loud) == [signal.upper()]

    def test_the_evidence_is_the_value_against_its_own_usual(self) -> None:
        nights = nights_of([*alternating(20), 55.0], rhr=[50.0, 52.0] * 10 + [60.0])
        (rise,) = judged(nights).corroborators

        assert (rise.value, rise.usual, rise.delta) == pytest.approx((60.0, 51.0, 9.0))

    def test_a_falling_heart_rate_confirms_nothing(self) -> None:
        nights = nights_of([*alternating(20), 40.0], rhr=[50.0] * 20 + [30.0])

        assert judged(nights).corroborators == ()


class TestSeries:
    def test_sdnn_has_its_own_prior_and_range(self) -> None:
        nights = nights_of([*alternating(14), 350.0])

        assert judged(nights, kind="SDNN").value_ms == 350.0
        assert judged(nights, kind="RMSSD").value_ms is None
        assert (
            judged(nights_of([*alternating(14), 42]), kind="SDNN").severity == "NORMAL"
        )

    def test_two_records_for_one_night_are_one_night(self) -> None:
        nights = nights_of([*alternating(14), 42])
        doubled = [*nights, *nights]

        assert judged(doubled, 15) == judged(nights)


def test_a_history_holds_only_what_it_was_given() -> None:
    history = History(nights=nights_of([50.0]), kind="RMSSD", ruleset=HRV_1)

    assert history.value_ms(day(1)) == 50.0
    assert history.value_ms(day(2)) is None
    assert history.count(day(2)) == 1

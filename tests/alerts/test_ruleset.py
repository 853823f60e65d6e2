from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import judge
from biometrics.alerts.ruleset import Corroborator, HrvSignal, Rule
from biometrics.alerts.ruleset_json import load_ruleset, parse_ruleset
from biometrics.alerts.validation import RulesetError
from tests.alerts.builders import alternating, day, nights_of

RULE = {"code": "X1", "severity": "HIGH", "at_most": -2.0}


class TestDefault:
    def test_it_holds_the_numbers_of_the_specification(self) -> None:
        signals: dict[str, HrvSignal | Corroborator] = {
            "RMSSD": HRV_1.rmssd,
            "SDNN": HRV_1.sdnn,
            "RHR": HRV_1.rhr,
            "RR": HRV_1.rr,
            "TEMP": HRV_1.temp,
        }
        found = {
            name: (signal.prior_sd, signal.floor, signal.k_lo, signal.k_hi)
            for name, signal in signals.items()
        }

        assert found == {
            "RMSSD": (0.20, 0.08, 5, 3),
            "SDNN": (0.30, 0.10, 5, 3),
            "RHR": (2.5, 1.5, 3, 5),
            "RR": (0.6, 0.4, 3, 5),
            "TEMP": (0.45, 0.25, 3, 5),
        }
        assert (HRV_1.name, HRV_1.window_nights, HRV_1.prior_weight) == ("hrv-1", 60, 6)

    def test_it_cannot_be_changed_in_place(self) -> None:
        with pytest.raises(FrozenInstanceError):
            HRV_1.name = "other"  # type: ignore[misc]


class TestLoading:
    def test_what_is_left_out_is_as_in_hrv_1(self) -> None:
        ours = load_ruleset(data={"name": "ours", "rmssd": {"floor": 0.1}})

        assert ours == replace(
            HRV_1, name="ours", rmssd=replace(HRV_1.rmssd, floor=0.1)
        )

    def test_a_list_replaces_the_whole_list(self) -> None:
        ours = load_ruleset(data={"name": "ours", "rules": [RULE], "absolute": []})

        assert ours.rules == (Rule(code="X1", severity="HIGH", at_most=-2.0),)
        assert ours.absolute == ()

    def test_a_loaded_rule_judges_under_its_own_name(self) -> None:
        rule = {**RULE, "code": "X1_z<=-0.5", "at_most": -0.5}
        ours = load_ruleset(data={"name": "ours", "rules": [rule], "absolute": []})
        verdict = judge(
            nights=nights_of([*alternating(20), 50.0]),
            night=day(21),
            kind="RMSSD",
            ruleset=ours,
        )

        assert (verdict.severity, verdict.reasons) == ("HIGH", ("X1_z<=-0.5",))
        assert verdict.ruleset == "ours"

    def test_hrv_1_with_other_numbers_needs_another_name(self) -> None:
        with pytest.raises(RulesetError, match="ruleset field name: hrv-1 has other"):
            load_ruleset(data={"window_nights": 30})

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ([], ""),
            ({"nmae": "x"}, "nmae"),
            ({"name": None}, "name"),
            ({"name": "two words"}, "name"),
            ({"name": "a,b"}, "name"),
            ({"name": "é"}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 41}, "name"),
            ({"window_nights": "60"}, "window_nights"),
            ({"window_nights": 60.5}, "window_nights"),
            ({"window_nights": True}, "window_nights"),
            ({"window_nights": 10}, "window_nights"),
            ({"active_nights": 5}, "active_nights"),
            ({"week_nights": 3}, "week_nights"),
            ({"prior_weight": -1}, "prior_weight"),
            ({"low_at_most": 0.5}, "low_at_most"),
            ({"rmssd": 3}, "rmssd"),
            ({"rmssd": {"minimum": 0}}, "rmssd.minimum"),
            ({"rmssd": {"maximum": 2}}, "rmssd.maximum"),
            ({"rmssd": {"floor": float("nan")}}, "rmssd.floor"),
            ({"rmssd": {"flor": 0.1}}, "rmssd.flor"),
            ({"rhr": {"rise": -1}}, "rhr.rise"),
            ({"rhr": {"maximum": 20}}, "rhr.maximum"),
            ({"sending": {"high_nights": 0}}, "sending.high_nights"),
            ({"sending": {"retract_nights": 1}}, "sending.retract_nights"),
            ({"rules": {}}, "rules"),
            ({"rules": "HIGH"}, "rules"),
            ({"rules": [3]}, "rules[0]"),
            ({"rules": [RULE, {"code": "X2"}]}, "rules[1].severity"),
            ({"rules": [RULE, RULE]}, "rules"),
            ({"rules": [{**RULE, "severity": "NORMAL"}]}, "rules[0].severity"),
            ({"rules": [{**RULE, "severity": ["HIGH"]}]}, "rules[0].severity"),
            ({"rules": [{**RULE, "at_most": 2.0}]}, "rules[0].at_most"),
            ({"rules": [{**RULE, "feature": "z9"}]}, "rules[0].feature"),
            ({"rules": [{**RULE, "nights": 4}]}, "rules[0].of"),
            ({"rules": [{**RULE, "corroborated_nights": 4}]}, "rules[0].of"),
            (
                {"rules": [{**RULE, "feature": "z7", "nights": 2}]},
                "rules[0].nights",
            ),
            (
                {"absolute": [{"below_ms": 0, "severity": "HIGH"}]},
                "absolute[0].below_ms",
            ),
            (
                {"absolute": [{"below_ms": 20, "severity": "HIGH", "mode": "on"}]},
                "absolute[0].mode",
            ),
            (
                {"absolute": [{"below_ms": 20, "severity": "HIGH", "kind": "HR"}]},
                "absolute[0].kind",
            ),
            ({"minimum_sleep_h": 2.5}, "minimum_sleep_h"),
            ({"minimum_samples": 3}, "minimum_samples"),
            ({"drops": [{"severity": "HIGH"}]}, "drops[0].percent"),
            (
                {"drops": [{"severity": "HIGH", "percent": 30, "ms": 25}]},
                "drops[0].percent",
            ),
            ({"drops": [{"severity": "HIGH", "percent": True}]}, "drops[0].percent"),
            ({"drops": [{"severity": "HIGH", "percent": 100}]}, "drops[0].percent"),
            (
                {"levels": [{"metric": "a b", "below": 1, "severity": "HIGH"}]},
                "levels[0].metric",
            ),
        ],
    )
    def test_an_error_names_the_field(self, data: Any, field: str) -> None:
        if isinstance(data, dict):
            data = {"name": "ours", **data}
        with pytest.raises(RulesetError) as caught:
            load_ruleset(data=data)

        assert caught.value.field == field
        assert field in str(caught.value)

    @pytest.mark.parametrize("field", ["prior_weight", "window_nights"])
    def test_a_number_beyond_all_floats_is_out_of_range(self, field: str) -> None:
        text = f'{{"name": "ours", "{field}": {"9" * 400}}}'
        with pytest.raises(RulesetError, match="a number of more than 20 dig") as found:
            parse_ruleset(text=text)
        assert found.value.field == field

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
    def test_a_text_nested_too_deep_is_refused(self, text: str) -> None:
        with pytest.raises(RulesetError, match="nested too deep"):
            parse_ruleset(text=text)

    def test_a_text_that_is_not_json_says_so(self) -> None:
        with pytest.raises(RulesetError, match="is not JSON"):
            parse_ruleset(text="{")


class TestDocumentedRulesets:
    DOCUMENT = Path(__file__).parents[2] / "docs" / "hrv.md"

    def test_the_whole_of_hrv_1_stands_in_docs(self) -> None:
        text = self.DOCUMENT.with_name("hrv-1.json").read_text()
        assert parse_ruleset(text=text) == HRV_1
        assert json.loads(text) == json.loads(json.dumps(asdict(HRV_1)))

    def examples(self) -> list[str]:
        text = self.DOCUMENT.read_text(encoding="utf-8")
        return re.findall(r"```json\n(.*?)```", text, re.DOTALL)

    def test_each_can_be_loaded(self) -> None:
        names = [parse_ruleset(text=example).name for example in self.examples()]

        assert names == ["hrv-1-strict", "hrv-1-readiness"]

    def test_every_reason_code_of_hrv_1_is_explained(self) -> None:
        text = self.DOCUMENT.read_text(encoding="utf-8")

        assert not [rule.code for rule in HRV_1.rules if f"`{rule.code}`" not in text]

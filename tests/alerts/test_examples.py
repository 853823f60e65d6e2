"""The specification's worked examples, to 1e-5."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Night
from biometrics.alerts.rules import Verdict, judge, judge_many
from biometrics.alerts.ruleset import AbsoluteRule, AlertSeverity, Ruleset, Severity
from tests.alerts.builders import Desk, alternating, judged, nights_of

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    example["name"]: example
    for example in json.loads(
        Path(__file__).with_name("hrv_examples.json").read_text(encoding="utf-8")
    )
}
SEVERITIES: Final[dict[int, AlertSeverity]] = {1: "MEDIUM", 2: "HIGH", 3: "CRITICAL"}
NUMBERS: Final = ("n", "ln_mean", "ln_sd", "baseline_ms", "z1", "z7")


def ruleset_of(example: dict[str, Any]) -> Ruleset:
    limits = tuple(
        AbsoluteRule(below_ms=below, severity=SEVERITIES[rank], mode=mode)
        for below, rank, mode in example["absolute_rules"]
    )
    return replace(HRV_1, name="example", absolute=limits)


def example_nights(example: dict[str, Any]) -> list[Night]:
    first = date.fromisoformat(example["first_night"])
    columns = zip(
        *(example[key] for key in ("hrv_ms", "rhr_bpm", "rr_brpm", "temp_c")),
        strict=True,
    )
    return [
        Night(
            night=first + timedelta(days=index),
            value_ms=hrv,
            rhr_bpm=rhr,
            rr_brpm=rr,
            temp_c=temp,
        )
        for index, (hrv, rhr, rr, temp) in enumerate(columns)
    ]


def all_verdicts(example: dict[str, Any]) -> tuple[Verdict, ...]:
    nights = example_nights(example)
    return judge_many(
        nights=nights,
        judged=[night.night for night in nights],
        kind=example["metric"],
        ruleset=ruleset_of(example),
    )


def test_all_examples_are_there() -> None:
    assert len(EXAMPLES) == 12
    assert all(example["expected_last_nights"] for example in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_last_nights_are_as_expected(name: str) -> None:
    example = EXAMPLES[name]
    nights = example_nights(example)
    for expected in example["expected_last_nights"]:
        verdict = judge(
            nights=nights,
            night=date.fromisoformat(expected["night"]),
            kind=example["metric"],
            ruleset=ruleset_of(example),
        )

        for number in NUMBERS:
            wanted = expected[number]
            near = None if wanted is None else pytest.approx(wanted, abs=1e-5, rel=0)
            assert getattr(verdict, number) == near, number
        assert verdict.value_ms == expected["hrv_ms"]
        assert verdict.state == expected["state"]
        assert verdict.severity == expected["severity"]
        assert list(verdict.reasons) == expected["reasons"]
        signals = [item.signal for item in verdict.corroborators]
        assert signals == expected["corroborators"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_messages_are_as_expected(name: str) -> None:
    example = EXAMPLES[name]
    desk, sent = Desk(ruleset=ruleset_of(example)), []
    for verdict in all_verdicts(example):
        sent += [
            [event.night.isoformat(), event.severity]
            for event in desk.take(verdict)
            if event.kind in {"RAISED", "UPGRADED"}
        ]

    assert sent == example["expected_emissions"]


def test_hand_check_of_the_first_example() -> None:
    verdict = judged(nights_of([*alternating(14), 42]))

    assert verdict.ln_mean == pytest.approx(4.003184, abs=1e-6)
    assert verdict.ln_sd == pytest.approx(0.136949, abs=1e-6)
    assert verdict.range_ms == pytest.approx((47.7631, 62.8103), abs=1e-3)
    assert (verdict.severity, verdict.reasons) == ("MEDIUM", ("M1_z<=-1.5",))


@pytest.mark.parametrize(
    ("values", "severity", "reasons"),
    [
        ([20], "CRITICAL", ("A_hrv<25_until_baseline",)),
        ([35], "HIGH", ("A_hrv<40_until_baseline",)),
        (alternating(15, low=20, high=24), "NORMAL", ()),
    ],
    ids=["night 1 at 20 ms", "night 1 at 35 ms", "night 15 of 20/24 ms"],
)
def test_fixed_limits_speak_until_there_is_a_baseline(
    values: list[float | None], severity: Severity, reasons: tuple[str, ...]
) -> None:
    verdict = judged(nights_of(values), ruleset=HRV_1)

    assert (verdict.severity, verdict.reasons) == (severity, reasons)


def test_a_night_scored_anew_takes_its_alert_back() -> None:
    before, after = EXAMPLES["E7a_before_rescore"], EXAMPLES["E7b_after_rescore"]
    desk = Desk(ruleset=ruleset_of(before))
    (raised,) = desk.take(all_verdicts(before)[-1])
    (retracted,) = desk.take(all_verdicts(after)[-1])

    assert (raised.kind, raised.severity, raised.priority) == ("RAISED", "HIGH", "HIGH")
    assert (retracted.kind, retracted.priority) == ("RETRACTED", "NORMAL")
    assert retracted.alert_id == raised.alert_id
    assert (raised.revision, retracted.revision) == (1, 2)

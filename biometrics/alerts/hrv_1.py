"""`hrv-1`, the ruleset that judges unless settings name another."""

from __future__ import annotations

from typing import Final

from biometrics.alerts.ruleset import (
    AbsoluteRule,
    Corroborator,
    DropRule,
    HrvSignal,
    LevelRule,
    Rule,
    Ruleset,
)

HRV_1: Final = Ruleset(
    name="hrv-1",
    rmssd=HrvSignal(prior_sd=0.20, floor=0.08, maximum=300.0),
    sdnn=HrvSignal(prior_sd=0.30, floor=0.10, maximum=400.0),
    rhr=Corroborator(
        prior_sd=2.5,
        floor=1.5,
        minimum=25.0,
        maximum=150.0,
        rise=3.0,
        rise_z=1.5,
        dead_band=0.5,
    ),
    rr=Corroborator(
        prior_sd=0.6,
        floor=0.4,
        minimum=5.0,
        maximum=40.0,
        rise=1.0,
        rise_z=2.0,
        dead_band=0.2,
    ),
    temp=Corroborator(
        prior_sd=0.45,
        floor=0.25,
        minimum=25.0,
        maximum=43.0,
        deviation_limit=8.0,
        rise=0.5,
        rise_z=2.0,
        dead_band=0.05,
    ),
    rules=(
        Rule(
            code="K1_2of3_z<=-2.0_corroborated_twice",
            severity="CRITICAL",
            at_most=-2.0,
            nights=2,
            corroborated_nights=2,
        ),
        Rule(
            code="K2_z<=-3.0_two_corroborators",
            severity="CRITICAL",
            at_most=-3.0,
            corroborators=2,
        ),
        Rule(code="H1_2of3_z<=-1.75", severity="HIGH", at_most=-1.75, nights=2),
        Rule(code="H2_z7<=-1.25", severity="HIGH", feature="z7", at_most=-1.25),
        Rule(
            code="H3_z<=-1.5_two_corroborators",
            severity="HIGH",
            at_most=-1.5,
            corroborators=2,
        ),
        Rule(
            code="H4_2of3_z<=-1.5_one_corroborator",
            severity="HIGH",
            at_most=-1.5,
            nights=2,
            corroborators=1,
        ),
        Rule(code="H5_z<=-3.0", severity="HIGH", at_most=-3.0),
        Rule(code="M1_z<=-1.5", severity="MEDIUM", at_most=-1.5),
        Rule(code="M2_z7<=-1.0", severity="MEDIUM", feature="z7", at_most=-1.0),
    ),
    absolute=(
        AbsoluteRule(below_ms=25.0, severity="CRITICAL"),
        AbsoluteRule(below_ms=40.0, severity="HIGH"),
    ),
    drops=(
        DropRule(percent=30.0, severity="HIGH"),
        DropRule(ms=25.0, severity="HIGH"),
    ),
    levels=(LevelRule(metric="sleep_score", below=70.0, severity="MEDIUM"),),
)

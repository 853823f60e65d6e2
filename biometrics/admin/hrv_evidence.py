"""Why an alert was raised: the figures as stored with it, and the rules that spoke."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from biometrics.admin.base import NOTHING
from biometrics.admin.hrv_chart import between
from biometrics.alerts.configured import known_ruleset
from biometrics.alerts.ruleset import AbsoluteRule, DropRule, Rule, Severity
from biometrics.models import HrvAlert

AnyRule: TypeAlias = Rule | AbsoluteRule | DropRule

_NONE = NOTHING
_LOW_NIGHT = "a night below the own usual"
_UNITS = {
    "RHR": ("Resting heart rate", "bpm", 0),
    "RR": ("Breathing rate", "per minute", 1),
    "TEMP": ("Skin temperature", "°C", 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """One rule that held: its code, what it says in words, and how severe it is."""

    code: str
    severity: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroborator:
    """Another signal that changed with the night's HRV."""

    name: str
    value: str
    usual: str
    delta: str
    z: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the alert's page shows as tables."""

    figures: Sequence[tuple[str, str]]
    corroborators: Sequence[Corroborator]
    rules: Sequence[Spoke]


def evidence_of(alert: HrvAlert) -> Evidence:
    """Return the evidence stored with the alert, ready to be read."""
    said = alert.evidence
    return Evidence(
        figures=_figures(alert, said),
        corroborators=[_corroborator(item) for item in said.get("corroborators", [])],
        rules=spoke(alert, state=said.get("state")),
    )


def spoke(
    alert: HrvAlert,
    *,
    state: str | None,
    wording: Callable[[AnyRule], str] | None = None,
) -> list[Spoke]:
    """Say in words what each of an alert's reason codes means, by default `in_words`.

    Only the ruleset that the alert names may explain it; where its rules are not at
    hand any more the code alone is shown. The severity is the one that the rule was
    allowed: less than its own while the baseline, whose `state` the evidence holds, was
    not ACTIVE.
    """
    named = known_ruleset(alert.ruleset)
    rules: dict[str, AnyRule] = {}
    if named is not None:
        own: tuple[AnyRule, ...] = (*named.rules, *named.absolute, *named.drops)
        rules = {rule.code: rule for rule in own}
    is_active, wording = state == "ACTIVE", wording or in_words
    found = []
    for code in alert.reasons:
        rule = rules.get(code)
        if rule is None:
            words = f"see ruleset {alert.ruleset}"
            found.append(Spoke(code=code, severity=_NONE, words=words))
            continue
        severity = allowed_severity(rule, is_active=is_active)
        words = wording(rule)
        if severity != rule.severity and isinstance(rule, Rule):
            words += f"; no more than {severity} until the own baseline is known"
        found.append(Spoke(code=code, severity=severity, words=words))
    return found


def allowed_severity(rule: AnyRule, *, is_active: bool) -> Severity:
    """Return the severity with which a rule that spoke may count."""
    is_capped = not is_active if isinstance(rule, Rule) else rule.mode == "guarded"
    return "MEDIUM" if is_capped else rule.severity


def in_words(rule: AnyRule) -> str:
    """Return what has to be so for the rule to speak."""
    if isinstance(rule, AbsoluteRule):
        return f"below {rule.below_ms:g} ms, a fixed limit ({_mode(rule.mode)})"
    if isinstance(rule, DropRule):
        size = f"{rule.ms:g} ms" if rule.percent is None else f"{rule.percent:g} %"
        return f"more than {size} below the own baseline ({_mode(rule.mode)})"
    name = "mean of the last seven nights" if rule.feature == "z7" else "this night"
    parts = [f"{name} at {rule.at_most:g} own SD or lower"]
    if rule.nights > 1:
        parts.append(f"as on {rule.nights} of the last {rule.of} nights")
    if rule.corroborators:
        parts.append(f"with {rule.corroborators} or more other signals that changed")
    if rule.corroborated_nights:
        limit = f"{rule.corroborated_at_most:g}"
        parts.append(
            f"on {rule.corroborated_nights} of them at {limit} or lower together with "
            "another signal"
        )
    return ", ".join(parts)


def without_numbers(rule: AnyRule) -> str:
    """Return what has to be so, for lists: a limit would tell of the value below it."""
    if isinstance(rule, AbsoluteRule):
        return f"below a fixed limit ({_mode(rule.mode)})"
    if isinstance(rule, DropRule):
        return f"far below the own baseline ({_mode(rule.mode)})"
    is_week = rule.feature == "z7"
    low = "low on average over the last nights" if is_week else _LOW_NIGHT
    parts = [low]
    if rule.nights > 1:
        parts.append("and not the only one lately")
    if rule.corroborators or rule.corroborated_nights:
        parts.append("with other signals that changed")
    return ", ".join(parts)


def _mode(mode: str) -> str:
    return {
        "until_baseline": "only until the own baseline is known",
        "always": "always on",
        "guarded": "guarded by the own baseline, never more than MEDIUM",
        "off": "off",
    }[mode]


def _figures(alert: HrvAlert, said: Mapping[str, Any]) -> list[tuple[str, str]]:
    method = alert.series_id.partition(":")[0]
    band = said.get("range_ms")
    lowest = said.get("limit_ms")
    return [
        (f"HRV of the night ({method})", _number(said.get("value_ms"), 1, " ms")),
        ("Own usual range", between(tuple(band) if band else None) or "not known yet"),
        ("Own baseline", _number(said.get("baseline_ms"), 1, " ms")),
        ("z1: this night, in own SD", _number(said.get("z1"), 2)),
        ("z7: last seven nights, in own SD", _number(said.get("z7"), 2)),
        ("Variation of the last seven nights", _number(said.get("cv7"), 1, " %")),
        ("Nights used for the baseline", str(said.get("nights", _NONE))),
        ("Baseline", str(said.get("state", _NONE))),
        ("Low nights in a row", str(said.get("low_nights", _NONE))),
        ("Fixed limit that spoke", _number(lowest, 0, " ms") if lowest else "none"),
        ("Threshold offset of the person", _number(said.get("threshold_offset"), 2)),
        ("Series", alert.series_id),
        ("Ruleset", alert.ruleset),
    ]


def _corroborator(item: Mapping[str, Any]) -> Corroborator:
    name, unit, digits = _UNITS.get(item["signal"], (item["signal"], "", 1))
    return Corroborator(
        name=name,
        value=_number(item.get("value"), digits, f" {unit}"),
        usual=_number(item.get("usual"), digits, f" {unit}"),
        delta=_number(item.get("delta"), digits, f" {unit}", sign="+"),
        z=_number(item.get("z"), 2, sign="+"),
    )


def _number(value: Any, digits: int, unit: str = "", *, sign: str = "") -> str:
    if value is None:
        return _NONE
    # z: a rounded nothing is 0.0, not -0.0.
    return f"{value:{sign}z.{digits}f}{unit}"

"""Fixed limits: the rules that know no person, and when they may speak at all."""

from __future__ import annotations

from dataclasses import dataclass

from biometrics.alerts.baseline import State
from biometrics.alerts.ruleset import (
    RANK,
    AbsoluteRule,
    DropRule,
    Kind,
    Ruleset,
    Severity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A fixed rule that speaks; `limit_ms` where it is a limit in milliseconds."""

    severity: Severity
    code: str
    limit_ms: float | None = None


def spoken_limits(
    *,
    value_ms: float,
    kind: Kind,
    state: State,
    usual_ms: float | None,
    low: bool,
    ruleset: Ruleset,
) -> tuple[Spoken, ...]:
    """Return the fixed rules that speak on a night, with the severity they may use.

    `usual_ms` is the personal baseline, None while there is none; `low` says that the
    night is low for this person. Of several limits in milliseconds only the worst
    speaks: a value below 25 is below 40 too, and saying so adds nothing.
    """
    levels = [
        Spoken(severity=severity, code=rule.code, limit_ms=rule.below_ms)
        for rule in ruleset.absolute
        if rule.kind == kind and value_ms < rule.below_ms
        if (severity := _severity(rule, state=state, low=low)) is not None
    ]
    levels.sort(key=lambda item: (-RANK[item.severity], item.limit_ms))
    drops = [
        Spoken(severity=severity, code=rule.code)
        for rule in ruleset.drops
        if rule.kind == kind and _dropped(rule, value_ms, usual_ms)
        if (severity := _severity(rule, state=state, low=low)) is not None
    ]
    return (*levels[:1], *drops)


def _severity(
    rule: AbsoluteRule | DropRule, *, state: State, low: bool
) -> Severity | None:
    """Return the severity that the rule's mode allows, None when it is silent."""
    if rule.mode == "always":
        return rule.severity
    if rule.mode == "until_baseline" and state != "ACTIVE":
        return rule.severity
    if rule.mode == "guarded" and (state != "ACTIVE" or low):
        return "MEDIUM"
    return None


def _dropped(rule: DropRule, value_ms: float, usual_ms: float | None) -> bool:
    if usual_ms is None:
        return False
    if rule.percent is not None:
        return value_ms < usual_ms * (1 - rule.percent / 100)
    return rule.ms is not None and value_ms < usual_ms - rule.ms

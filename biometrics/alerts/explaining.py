"""Why an alert was raised, in words: which rules spoke, with their limits or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from biometrics.alerts.configured import known_ruleset
from biometrics.alerts.ruleset import RANK, AbsoluteRule, DropRule, Rule, Severity
from biometrics.models import HrvAlert

AnyRule: TypeAlias = Rule | AbsoluteRule | DropRule

# The words for severities happen to sort by the alphabet as they do by weight, so an
# index serves this order.
WORST_FIRST = ("severity", "-raised_at")
_NONE = "-"
_LOW_NIGHT = "a night below the own usual"
_RANKS: dict[str, int] = {str(name): rank for name, rank in RANK.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """One rule that held: its code, what it says in words, and how severe it is."""

    code: str
    severity: str
    words: str


def why(alert: HrvAlert, *, state: str | None) -> str:
    """Return in one line why it was raised, the worst rule, without a value or limit."""
    rules = spoke(alert, state=state, wording=without_numbers)
    if not rules:
        return "No rule holds any more."
    more = f" (and {len(rules) - 1} more)" if len(rules) > 1 else ""
    worst = max(rules, key=lambda rule: _RANKS.get(rule.severity, -1))
    return f"{worst.words}{more}"


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

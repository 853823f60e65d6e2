"""What travels with an event: how its values were judged, and how urgent that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from biometrics.alerts.emission import Priority, priority_of
from biometrics.alerts.rules import Verdict, assess_level
from biometrics.alerts.ruleset import RANK, Ruleset, Severity
from biometrics.vendors.records import ReadingValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """The `assessment` of an event's value, and the priority of its message."""

    value: Mapping[str, object]
    priority: Priority


def assess(
    *,
    readings: Iterable[ReadingValue],
    verdict: Verdict | None,
    ruleset: Ruleset,
    may_page: bool,
) -> Assessed | None:
    """Join the verdict on the event's night with the level rules on its readings.

    None when nothing of it was judged. Severity is told as it is; the priority is
    NORMAL unless the event is of now (`may_page`).
    """
    severity: Severity = "NORMAL" if verdict is None else verdict.severity
    reasons = [] if verdict is None else list(verdict.reasons)
    metrics = {rule.metric for rule in ruleset.levels}
    for reading in readings:
        if reading.metric in metrics:
            level = assess_level(
                metric=reading.metric, value=reading.value, ruleset=ruleset
            )
            reasons += level.reasons
            severity = max(severity, level.severity, key=RANK.__getitem__)
    if verdict is None and severity == "NORMAL":
        return None
    return Assessed(
        value={
            "severity": severity,
            "reasons": reasons,
            **({} if verdict is None else _figures(verdict)),
            "ruleset": ruleset.name,
        },
        priority=priority_of(severity) if may_page else "NORMAL",
    )


def _figures(verdict: Verdict) -> dict[str, object]:
    low_high = verdict.range_ms
    return {
        "state": verdict.state,
        "baseline_ms": _rounded(verdict.baseline_ms, 1),
        "range_ms": None if low_high is None else [round(edge, 1) for edge in low_high],
        "z1": _rounded(verdict.z1, 2),
        "z7": _rounded(verdict.z7, 2),
        "nights": verdict.n,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

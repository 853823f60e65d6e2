"""Verdicts: what the stored nights say about one night, and why.

Pure functions of the nights, the ruleset and the person's offset: no clock, no
database, no memory of earlier verdicts. The same nights in any order of arrival give
the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, isfinite

from biometrics.alerts.baseline import Baseline, Corroboration, History, State
from biometrics.alerts.limits import Spoken, spoken_limits
from biometrics.alerts.nights import Night, within
from biometrics.alerts.ruleset import RANK, Kind, Rule, Ruleset, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The severity of one night with everything that led to it.

    `baseline_ms`, `range_ms` and `z1` are None while CALIBRATING; `z1` and `value_ms`
    also when the night has no usable value, which is always NORMAL. `low_nights` counts
    the nights up to this one, without a gap, that are low for this person;
    `low_week` says that a rule on the last week held; `limit_ms` is the fixed limit in
    milliseconds that spoke, if one did.
    """

    night: date
    kind: Kind
    state: State
    severity: Severity
    reasons: tuple[str, ...]
    value_ms: float | None
    baseline_ms: float | None
    range_ms: tuple[float, float] | None
    ln_mean: float | None
    ln_sd: float | None
    z1: float | None
    z7: float | None
    cv7: float | None
    n: int
    low_nights: int
    low_week: bool
    limit_ms: float | None
    corroborators: tuple[Corroboration, ...]
    threshold_offset: float
    ruleset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a level rule says of a value of another metric."""

    severity: Severity
    reasons: tuple[str, ...]


def judge(
    *,
    nights: Sequence[Night],
    night: date,
    kind: Kind,
    ruleset: Ruleset,
    threshold_offset: float = 0.0,
) -> Verdict:
    """Return the verdict on `night` of one series.

    Only nights from `night - ruleset.lookback_nights` up to `night` matter; more do no
    harm. `threshold_offset` lowers every personal threshold by so many SDs for a person
    whose nights vary more than most; it never touches absolute rules.
    """
    since = night - timedelta(days=ruleset.lookback_nights)
    recent = [known for known in nights if since <= known.night <= night]
    history = History(nights=recent, kind=kind, ruleset=ruleset)
    return _Bench(history, kind, ruleset, threshold_offset).verdict(night)


def judge_many(
    *,
    nights: Sequence[Night],
    judged: Iterable[date],
    kind: Kind,
    ruleset: Ruleset,
    threshold_offset: float = 0.0,
) -> tuple[Verdict, ...]:
    """Return the verdicts on several nights: as `judge` of each, much cheaper."""
    history = History(nights=nights, kind=kind, ruleset=ruleset)
    bench = _Bench(history, kind, ruleset, threshold_offset)
    return tuple(bench.verdict(night) for night in judged)


def assess_level(*, metric: str, value: float | None, ruleset: Ruleset) -> Assessment:
    """Apply the level rules to one value; a missing value is NORMAL."""
    known = within(value, float("-inf"), float("inf"))
    hits = [
        rule
        for rule in ruleset.levels
        if rule.metric == metric and known is not None and rule.holds(known)
    ]
    return Assessment(
        severity=_worst([rule.severity for rule in hits]),
        reasons=tuple(rule.code for rule in hits),
    )


def _worst(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=RANK.__getitem__, default="NORMAL")


class _Bench:
    """One history with the rules that are to be applied to it."""

    def __init__(
        self, history: History, kind: Kind, ruleset: Ruleset, threshold_offset: float
    ) -> None:
        limit = ruleset.maximum_offset
        if not (isfinite(threshold_offset) and 0.0 <= threshold_offset <= limit):
            message = f"threshold_offset must lie between 0 and {limit:g}"
            raise ValueError(message)
        self._history = history
        self._kind = kind
        self._ruleset = ruleset
        self._offset = threshold_offset

    def verdict(self, night: date) -> Verdict:
        history, value = self._history, self._history.value_ms(night)
        state, baseline = history.state(night), history.baseline(night)
        week = history.week(night)
        held = self._held(night, history.z1(night), None if week is None else week.z7)
        usual = None if baseline is None else exp(baseline.mean)
        spoken = self._spoken(night, state, usual)
        personal = _capped(_worst(rule.severity for rule in held), state)
        return Verdict(
            night=night,
            kind=self._kind,
            state=state,
            severity=_worst([personal, *(limit.severity for limit in spoken)]),
            reasons=(*(rule.code for rule in held), *(limit.code for limit in spoken)),
            value_ms=value,
            baseline_ms=usual,
            range_ms=None if baseline is None else _range(baseline),
            ln_mean=None if baseline is None else baseline.mean,
            ln_sd=None if baseline is None else baseline.sd,
            z1=history.z1(night),
            z7=None if week is None else week.z7,
            cv7=None if week is None else week.cv7,
            n=history.count(night),
            low_nights=self._low_nights(night),
            low_week=any(rule.feature == "z7" for rule in held),
            limit_ms=next((limit.limit_ms for limit in spoken), None),
            corroborators=() if value is None else history.corroborations(night),
            threshold_offset=self._offset,
            ruleset=self._ruleset.name,
        )

    def _spoken(
        self, night: date, state: State, usual_ms: float | None
    ) -> tuple[Spoken, ...]:
        value = self._history.value_ms(night)
        if value is None:
            return ()
        return spoken_limits(
            value_ms=value,
            kind=self._kind,
            state=state,
            usual_ms=usual_ms,
            low=self._low_nights(night) > 0,
            ruleset=self._ruleset,
        )

    def _held(
        self, night: date, z1: float | None, z7: float | None
    ) -> tuple[Rule, ...]:
        if z1 is None:
            return ()
        rules = self._ruleset.rules
        return tuple(rule for rule in rules if self._holds(rule, night, z1, z7))

    def _holds(self, rule: Rule, night: date, z1: float, z7: float | None) -> bool:
        feature = z1 if rule.feature == "z1" else z7
        if feature is None or feature > rule.at_most - self._offset:
            return False
        if rule.nights > 1 and self._low(rule, night) < rule.nights:
            return False
        if len(self._history.corroborations(night)) < rule.corroborators:
            return False
        return self._confirmed(rule, night) >= rule.corroborated_nights

    def _low(self, rule: Rule, night: date) -> int:
        found = [self._history.z1_before(night, back) for back in range(rule.of)]
        return sum(z is not None and z <= rule.at_most - self._offset for z in found)

    def _confirmed(self, rule: Rule, night: date) -> int:
        if rule.corroborated_nights == 0:
            return 0
        limit, count = rule.corroborated_at_most - self._offset, 0
        for back in range(rule.of):
            z = self._history.z1_before(night, back)
            low = z is not None and z <= limit
            count += low and bool(self._history.corroborations(night, back=back))
        return count

    def _low_nights(self, night: date) -> int:
        limit, count = self._ruleset.low_at_most - self._offset, 0
        for back in range(self._ruleset.week_nights):
            z = self._history.z1_before(night, back)
            if z is None or z > limit:
                break
            count += 1
        return count


def _capped(severity: Severity, state: State) -> Severity:
    """Cap the personal rules until the baseline is sure enough to page."""
    if state == "ACTIVE" or severity == "NORMAL":
        return severity
    return "MEDIUM"


def _range(baseline: Baseline) -> tuple[float, float]:
    return exp(baseline.mean - baseline.sd), exp(baseline.mean + baseline.sd)

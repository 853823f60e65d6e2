"""The numbers behind every HRV verdict: one frozen, named, validated object.

A ruleset is data. Whoever wants other thresholds writes another ruleset under another
name and replays it on stored nights; verdicts and alerts carry the name, so an old
alert can always be explained by the numbers that raised it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from biometrics.alerts.validation import (
    Between,
    Code,
    RulesetError,
    Word,
    check_fields,
    check_order,
)
from biometrics.catalogue import Metric

Severity: TypeAlias = Literal["NORMAL", "MEDIUM", "HIGH", "CRITICAL"]
AlertSeverity: TypeAlias = Literal["MEDIUM", "HIGH", "CRITICAL"]
Kind: TypeAlias = Literal["RMSSD", "SDNN"]
Mode: TypeAlias = Literal["until_baseline", "always", "guarded", "off"]
Feature: TypeAlias = Literal["z1", "z7"]

RANK: Final[Mapping[Severity, int]] = MappingProxyType(
    {"NORMAL": 0, "MEDIUM": 1, "HIGH": 2, "CRITICAL": 3}
)

_Threshold: TypeAlias = Annotated[float, Between(-20, 0)]
_Clip: TypeAlias = Annotated[float, Between(1, 100)]
_Nights: TypeAlias = Annotated[int, Between(1, 60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HrvSignal:
    """How the ln-transformed night values of one HRV kind become a baseline.

    A change of a stored night below both dead bands is noise and judges nothing anew.
    """

    prior_sd: Annotated[float, Between(0.01, 2)]
    floor: Annotated[float, Between(0.001, 2)]
    k_lo: _Clip = 5.0
    k_hi: _Clip = 3.0
    # Below 1 the number is in seconds; the logarithm of 0 must stay impossible.
    minimum: Annotated[float, Between(1, 100)] = 3.0
    maximum: Annotated[float, Between(1, 2000)]
    dead_band_ms: Annotated[float, Between(0, 10)] = 0.5
    dead_band_ratio: Annotated[float, Between(0, 0.5)] = 0.01

    def __post_init__(self) -> None:
        check_fields(self)
        check_order("maximum", self.minimum, self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroborator:
    """A second signal that confirms a low night: it rose by so much, and so unusually.

    `minimum` and `maximum` bound a believable value. Skin temperature comes as an
    absolute value or as a deviation up to `deviation_limit` either way.
    """

    prior_sd: Annotated[float, Between(0.001, 50)]
    floor: Annotated[float, Between(0.001, 50)]
    k_lo: _Clip = 3.0
    k_hi: _Clip = 5.0
    minimum: Annotated[float, Between(-50, 500)]
    maximum: Annotated[float, Between(-50, 500)]
    deviation_limit: Annotated[float, Between(0, 20)] = 0.0
    rise: Annotated[float, Between(0, 100)]
    rise_z: Annotated[float, Between(0, 10)]
    dead_band: Annotated[float, Between(0, 10)]

    def __post_init__(self) -> None:
        check_fields(self)
        check_order("maximum", self.minimum, self.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One personal rule; it holds when every part of it holds.

    Tonight's `feature` is at or below `at_most`, and z1 is so on `nights` of the last
    `of` calendar nights, tonight among them; tonight at least `corroborators` signals
    confirm; and on `corroborated_nights` of the same nights z1 is at or below
    `corroborated_at_most` together with at least one confirming signal.
    """

    code: Code
    severity: AlertSeverity
    feature: Feature = "z1"
    at_most: _Threshold
    nights: Annotated[int, Between(1, 7)] = 1
    of: Annotated[int, Between(1, 7)] = 3
    corroborators: Annotated[int, Between(0, 3)] = 0
    corroborated_nights: Annotated[int, Between(0, 7)] = 0
    corroborated_at_most: _Threshold = -1.5

    def __post_init__(self) -> None:
        check_fields(self)
        check_order("of", self.nights, self.of)
        check_order("of", self.corroborated_nights, self.of)
        if self.feature == "z7" and self.nights > 1:
            raise RulesetError(field="nights", problem="must be 1 with feature z7")


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteRule:
    """A fixed limit in milliseconds, for one HRV kind, in one of four modes."""

    below_ms: Annotated[float, Between(1, 300)]
    severity: AlertSeverity
    mode: Mode = "until_baseline"
    kind: Kind = "RMSSD"

    @property
    def code(self) -> str:
        return f"A_hrv<{self.below_ms:g}_{self.mode}"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRule:
    """A fall below the personal baseline, in `percent` or in `ms` (exactly one)."""

    percent: Annotated[float, Between(1, 99)] | None = None
    ms: Annotated[float, Between(1, 300)] | None = None
    severity: AlertSeverity
    mode: Mode = "off"
    kind: Kind = "RMSSD"

    @property
    def code(self) -> str:
        size = f"{self.ms:g}ms" if self.percent is None else f"{self.percent:g}%"
        return f"A_drop>{size}_{self.mode}"

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.percent is None) == (self.ms is None):
            raise RulesetError(field="percent", problem="give either percent or ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRule:
    """A limit on another catalogue metric: stored and shown, never an alert.

    The rule holds for values `below` one number or `above` one (exactly one of them).
    """

    metric: Code
    below: Annotated[float, Between(-1000, 100_000)] | None = None
    above: Annotated[float, Between(-1000, 100_000)] | None = None
    severity: AlertSeverity

    @property
    def code(self) -> str:
        if self.below is not None:
            return f"L_{self.metric}<{self.below:g}"
        return f"L_{self.metric}>{self.above:g}"

    def holds(self, value: float) -> bool:
        """Say whether the rule speaks; a value on the limit is an ordinary one."""
        if self.below is not None:
            return value < self.below
        return self.above is not None and value > self.above

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.below is None) == (self.above is None):
            raise RulesetError(field="below", problem="give either below or above")
        if self.metric not in set(Metric):
            problem = f"must be a metric of the catalogue, is {self.metric!r}"
            raise RulesetError(field="metric", problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """When a verdict becomes something that a person reads.

    An alert of a severity is not repeated within its `…_nights`. Only the `page_nights`
    newest nights may raise one, and only while younger than `page_age_days`.
    """

    medium_nights: _Nights = 7
    high_nights: _Nights = 7
    critical_nights: _Nights = 3
    page_nights: Annotated[int, Between(1, 7)] = 2
    page_age_days: Annotated[int, Between(1, 14)] = 3
    retract_nights: _Nights = 14
    resolve_nights: Annotated[int, Between(1, 7)] = 2
    resolve_above: Annotated[float, Between(-20, 5)] = -1.0
    primary_nights: _Nights = 30

    def __post_init__(self) -> None:
        check_fields(self)
        check_order("retract_nights", self.page_nights, self.retract_nights)

    def cool_down(self, severity: Severity) -> int:
        """Return for how many nights such an alert is not repeated."""
        if severity == "CRITICAL":
            return self.critical_nights
        return self.high_nights if severity == "HIGH" else self.medium_nights


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """Everything `judge` and `emit` may depend on besides the nights themselves.

    `low_at_most` is the z1 from which a night counts as low in texts and for guarded
    limits; `maximum_offset` bounds what staff may add for one person. Normalising calls
    nothing shorter than 3 h a night, so `minimum_sleep_h` can only ask for more.
    """

    name: Annotated[str, Word(longest=40)]
    window_nights: Annotated[int, Between(7, 366)] = 60
    provisional_nights: Annotated[int, Between(2, 60)] = 7
    active_nights: _Nights = 14
    prior_weight: Annotated[float, Between(0, 100)] = 6.0
    week_nights: Annotated[int, Between(2, 30)] = 7
    week_minimum: Annotated[int, Between(2, 30)] = 4
    minimum_sleep_h: Annotated[float, Between(3, 12)] = 3.0
    low_at_most: _Threshold = -1.5
    maximum_offset: Annotated[float, Between(0, 10)] = 2.0
    rmssd: HrvSignal
    sdnn: HrvSignal
    rhr: Corroborator
    rr: Corroborator
    temp: Corroborator
    rules: tuple[Rule, ...]
    absolute: tuple[AbsoluteRule, ...] = ()
    drops: tuple[DropRule, ...] = ()
    levels: tuple[LevelRule, ...] = ()
    sending: Sending = Sending()

    def __post_init__(self) -> None:
        check_fields(self)
        check_order("active_nights", self.provisional_nights, self.active_nights)
        check_order("window_nights", self.active_nights, self.window_nights)
        check_order("week_nights", self.week_minimum, self.week_nights)
        for name in ("rules", "absolute", "drops", "levels"):
            codes = Counter(rule.code for rule in getattr(self, name))
            for code, count in codes.items():
                if count > 1:
                    raise RulesetError(field=name, problem=f"{code} stands twice")

    @property
    def lookback_nights(self) -> int:
        """How many nights before the judged one can change its verdict."""
        deepest = max([rule.of for rule in self.rules], default=1)
        return self.window_nights + max(deepest, self.week_nights) - 1

    def hrv(self, kind: Kind) -> HrvSignal:
        return self.rmssd if kind == "RMSSD" else self.sdnn


def with_absolute_mode(*, ruleset: Ruleset, mode: Mode) -> Ruleset:
    """Return the ruleset with every fixed limit in `mode`.

    Where that changes anything the name says so: an alert must never name a ruleset
    with other rules than those that raised it.
    """
    absolute = tuple(replace(rule, mode=mode) for rule in ruleset.absolute)
    if absolute == ruleset.absolute:
        return ruleset
    return replace(ruleset, name=f"{ruleset.name}+{mode}", absolute=absolute)

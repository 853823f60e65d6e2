"""What a ruleset costs healthy people and what it sees of real events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Final
from uuid import UUID

from biometrics.alerts.emission import LedgerEntry, apply_events, emit
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import Verdict, judge_many
from biometrics.alerts.ruleset import RANK, AbsoluteRule, DropRule, Rule, Ruleset
from tests.bench.hrv_people import NIGHTS, Event, Model, Person, simulate

MILD: Final = Event(drop=2.0, nights=7)
STRONG: Final = Event(drop=3.0, nights=5)

_SUBJECT: Final = UUID(int=0)
_EARLIEST_EVENT: Final = 40
_MONTH: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthy:
    """Messages per healthy person-month, counted on ACTIVE nights."""

    high: float
    critical: float
    often: float  # share of people with more than two HIGH or CRITICAL a month
    below_minus_2: float  # share of judged nights with z1 <= -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Shares of people whose nights reach a severity while the event lasts."""

    high: float
    critical: float
    median_night: float | None  # of those reached; night 1 is the event's first
    without: float  # the same nights of the same people without the event


def personal_only() -> Ruleset:
    """Return hrv-1 without its fixed limits, which are silent once ACTIVE."""
    return replace(HRV_1, name="hrv-1-personal", absolute=(), drops=())


def shifted(*, by: float) -> Ruleset:
    """Return hrv-1 with every personal threshold moved."""
    rules = tuple(_moved(rule, by) for rule in HRV_1.rules)
    return replace(personal_only(), name=f"hrv-1{by:+g}", rules=rules)


def _moved(rule: Rule, by: float) -> Rule:
    return replace(
        rule,
        at_most=min(rule.at_most + by, 0.0),
        corroborated_at_most=min(rule.corroborated_at_most + by, 0.0),
    )


def fixed_limits(*, critical_ms: float, high_ms: float) -> Ruleset:
    """Return the first design: the same limits for everybody, for ever."""
    limits = (
        AbsoluteRule(below_ms=critical_ms, severity="CRITICAL", mode="always"),
        AbsoluteRule(below_ms=high_ms, severity="HIGH", mode="always"),
    )
    name = f"fixed-{critical_ms:g}-{high_ms:g}"
    return replace(HRV_1, name=name, rules=(), absolute=limits, drops=())


def percent_drop(*, percent: float) -> Ruleset:
    """Return one rule: so many percent below the own baseline."""
    drop = DropRule(percent=percent, severity="HIGH", mode="always")
    name = f"drop-{percent:g}"
    return replace(HRV_1, name=name, rules=(), absolute=(), drops=(drop,))


def people(*, count: int, seed: int, model: Model) -> list[Person]:
    random = Random(seed)
    return [simulate(random=random, model=model) for _ in range(count)]


def healthy_rates(*, crowd: Sequence[Person], ruleset: Ruleset) -> Healthy:
    high = critical = low = judged = often = 0
    active = 0.0
    for person in crowd:
        nights = person.nights()
        verdicts = judge_many(
            nights=nights,
            judged=[night.night for night in nights],
            kind="RMSSD",
            ruleset=ruleset,
        )
        sent = _sent(verdicts, ruleset)
        own = [sent.count("HIGH"), sent.count("CRITICAL")]
        months = sum(verdict.state == "ACTIVE" for verdict in verdicts) / _MONTH
        high, critical, active = high + own[0], critical + own[1], active + months
        often += sum(own) > 2 * months
        scores = [v.z1 for v in verdicts if v.state == "ACTIVE" and v.z1 is not None]
        low, judged = low + sum(z <= -2 for z in scores), judged + len(scores)
    return Healthy(
        high=high / active,
        critical=critical / active,
        often=often / len(crowd),
        below_minus_2=low / judged,
    )


def _sent(verdicts: Sequence[Verdict], ruleset: Ruleset) -> list[str]:
    """Return the severities raised on ACTIVE nights, each night judged as it came."""
    ledger: tuple[LedgerEntry, ...] = ()
    found = []
    for verdict in verdicts:
        if verdict.severity == "NORMAL":
            continue
        events = emit(
            subject=_SUBJECT,
            metric_family="RMSSD",
            verdicts=[verdict],
            ledger=ledger,
            newest_night=verdict.night,
            today=verdict.night,
            ruleset=ruleset,
        )
        ledger = apply_events(ledger=ledger[-8:], events=events)
        found += [event.severity for event in events if verdict.state == "ACTIVE"]
    return [str(severity) for severity in found]


def seen(*, crowd: Sequence[Person], event: Event, ruleset: Ruleset, seed: int) -> Seen:
    """Give every person one event on a random night; look at its nights."""
    random, first, critical, without = Random(seed), [], 0, 0
    for person in crowd:
        start = random.randrange(_EARLIEST_EVENT, NIGHTS - event.nights)
        ill = _worst_by_night(person, event, start, ruleset, happens=True)
        well = _worst_by_night(person, event, start, ruleset, happens=False)
        reached = [n for n, rank in enumerate(ill, start=1) if rank >= RANK["HIGH"]]
        first += reached[:1]
        critical += RANK["CRITICAL"] in ill
        without += max(well) >= RANK["HIGH"]
    return Seen(
        high=len(first) / len(crowd),
        critical=critical / len(crowd),
        median_night=median(first) if first else None,
        without=without / len(crowd),
    )


def _worst_by_night(
    person: Person, event: Event, start: int, ruleset: Ruleset, *, happens: bool
) -> list[int]:
    nights = person.nights(event=event if happens else None, start=start)
    judged = [night.night for night in nights[start : start + event.nights]]
    recent = nights[max(0, start - ruleset.lookback_nights) : start + event.nights]
    verdicts = judge_many(nights=recent, judged=judged, kind="RMSSD", ruleset=ruleset)
    return [RANK[verdict.severity] for verdict in verdicts]

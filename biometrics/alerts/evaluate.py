"""Step 6: judge what new events say of people's nights, and decide who hears of it.

Reads everything first and writes at the end, so that the verdicts can travel with the
events that caused them. Two queries for the nights of a whole batch and one for its
alerts; nothing is read for a batch without nights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from biometrics import metrics
from biometrics.alerts import alert_rows, night_rows
from biometrics.alerts.assessment import Assessed, assess
from biometrics.alerts.emission import AlertEvent, emit
from biometrics.alerts.judging import Nights, Said
from biometrics.alerts.night_rows import Family, FamilyKey
from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import Ruleset
from biometrics.models import HrvAlert

__all__ = ["Evaluation", "Said", "Told", "evaluate"]

# The last two quiet nights close an alert; some nights have no value.
_EARLIER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change of an alert that consumers and staff are told of, and its cause."""

    event: AlertEvent
    cause: Said
    evidence: Mapping[str, object]


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """The verdicts on a batch. `save` writes them once the events are stored."""

    assessed: dict[UUID, Assessed] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    families: dict[FamilyKey, Family] = field(default_factory=dict)
    alerts: dict[UUID, HrvAlert] = field(default_factory=dict)

    def save(self, *, now: datetime) -> None:
        """Write nights and alerts, in the transaction of the events."""
        night_rows.save(self.families.values(), now=now)
        alerts = self.alerts.values()
        nights = night_rows.ids_of((a.subject_id, a.series_id, a.night) for a in alerts)
        for alert in alerts:
            key = (alert.subject_id, alert.series_id, alert.night)
            alert.hrv_night_id = nights.get(key)
        alert_rows.save(alerts)
        for told in self.told:
            metrics.ALERTS.labels(told.event.kind, told.event.severity).inc()


def evaluate(said: Sequence[Said], *, ruleset: Ruleset, now: datetime) -> Evaluation:
    """Judge the events of a batch; call it with their subjects locked.

    `said` holds one event for each record, in the order in which they came.
    """
    nights = Nights(ruleset=ruleset, now=now)
    nights.load(said)
    for one in said:
        nights.take(one)
    nights.judge()
    evaluation = Evaluation(families=nights.families)
    _tell(evaluation, nights=nights, ruleset=ruleset, now=now)
    for one in said:
        found = _assess(one, nights=nights, ruleset=ruleset, now=now)
        if found is not None:
            evaluation.assessed[one.event_id] = found
    return evaluation


def _tell(
    evaluation: Evaluation, *, nights: Nights, ruleset: Ruleset, now: datetime
) -> None:
    """Decide what is raised, changed, taken back or closed."""
    paging = [f for f in nights.families.values() if nights.primary(f) in f.revised]
    if not paging:
        return
    ledgers = alert_rows.load(
        {family.subject for family in paging},
        first=min(min(family.revised[nights.primary(family)]) for family in paging),
        ruleset=ruleset,
    )
    for family in paging:
        ledger = ledgers.setdefault((family.subject, family.kind), {})
        events = _events(family, ledger, nights=nights, ruleset=ruleset, now=now)
        _record(evaluation, family, ledger, events=events, nights=nights, now=now)


def _events(
    family: Family,
    ledger: Mapping[date, HrvAlert],
    *,
    nights: Nights,
    ruleset: Ruleset,
    now: datetime,
) -> tuple[AlertEvent, ...]:
    key, series_id = (family.subject, family.kind), nights.primary(family)
    rows = family.series[series_id]
    judged = sorted(nights.altered(family, series_id))
    return emit(
        subject=family.subject,
        metric_family=family.kind,
        verdicts=[v for day in judged if (v := rows[day].verdict) is not None],
        # Only an alert can be closed, and only a ledger holds one.
        earlier=_earlier(family, nights=nights, before=judged[0]) if ledger else (),
        ledger=alert_rows.entries(ledger.values()),
        newest_night=max(rows),
        today=nights.causes[key].today(now),
        ruleset=ruleset,
        backfill=key not in nights.live,
    )


def _earlier(family: Family, *, nights: Nights, before: date) -> Sequence[Verdict]:
    series_id = nights.primary(family)
    valid = [
        day
        for day, row in family.series[series_id].items()
        if day < before and row.night.value_ms is not None
    ]
    return nights.verdicts(family, series_id, sorted(valid)[-_EARLIER:])


def _record(
    evaluation: Evaluation,
    family: Family,
    ledger: dict[date, HrvAlert],
    *,
    events: Sequence[AlertEvent],
    nights: Nights,
    now: datetime,
) -> None:
    series_id = nights.primary(family)
    cause = nights.causes[family.subject, family.kind]
    for event in events:
        alert = alert_rows.apply(
            event,
            ledger=ledger,
            subject=family.subject,
            family=family.kind,
            series_id=series_id,
            now=now,
        )
        evaluation.alerts[alert.id] = alert
        evidence = alert_rows.evidence_of(event, series_id=series_id)
        evaluation.told.append(Told(event=event, cause=cause, evidence=evidence))


def _assess(
    one: Said, *, nights: Nights, ruleset: Ruleset, now: datetime
) -> Assessed | None:
    """Put together what travels with an event."""
    verdict, is_primary = None, True
    place = nights.places.get(one.event_id)
    if place is not None:
        family = nights.families[place.key]
        row = family.series[place.series_id][place.night]
        # A longer sleep of the same batch may have taken the night over.
        verdict = row.verdict if row.event_id == one.event_id else None
        is_primary = nights.primary(family) == place.series_id
    return assess(
        readings=one.record.readings,
        verdict=verdict,
        ruleset=ruleset,
        may_page=is_primary and _is_fresh(one, ruleset=ruleset, now=now),
    )


def _is_fresh(one: Said, *, ruleset: Ruleset, now: datetime) -> bool:
    """Say whether the event is of these days: an old one is never urgent."""
    night = one.record.night
    day = night.night if night is not None else one.record.local_date
    if one.is_backfill or day is None:
        return not one.is_backfill
    return (one.today(now) - day).days < ruleset.sending.page_age_days

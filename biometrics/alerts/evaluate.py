"""Step 6: judge what new events say of people's nights, and decide who hears of it.

Reads everything first and writes at the end, so that the verdicts can travel with the
events that caused them. Two queries for the nights of a whole batch and one for its
alerts; nothing is read for a batch without nights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import cast
from uuid import UUID

from biometrics import metrics
from biometrics.alerts import alert_rows, night_rows
from biometrics.alerts.assessment import Assessed, assess
from biometrics.alerts.emission import PAGING, AlertEvent, emit
from biometrics.alerts.judging import Nights
from biometrics.alerts.night_rows import Family, FamilyKey
from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import RANK, Ruleset, Severity
from biometrics.alerts.said import Said
from biometrics.models import HrvAlert


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
    # Raised anew or higher than before: what staff said of the old one is over.
    reopened: set[UUID] = field(default_factory=set)

    def save(self, *, now: datetime) -> None:
        """Write nights and alerts, in the transaction of the events."""
        night_rows.save(self.families.values(), now=now)
        alerts = self.alerts.values()
        nights = night_rows.ids_of((a.subject_id, a.series_id, a.night) for a in alerts)
        for alert in alerts:
            key = (alert.subject_id, alert.series_id, alert.night)
            alert.hrv_night_id = nights.get(key)
        alert_rows.save(alerts, reopened=self.reopened)
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
    revised = [(f, name) for f in nights.families.values() for name in f.revised]
    if not revised:
        return
    # What another device takes back goes first: the primary one has the last word.
    revised.sort(key=lambda item: (nights.primary(item[0]) == item[1], item[1]))
    ledgers = alert_rows.load(
        {family.subject for family, _ in revised},
        first=min(min(family.revised[series_id]) for family, series_id in revised),
        ruleset=ruleset,
    )
    for family, series_id in revised:
        ledger = ledgers.setdefault((family.subject, family.kind), {})
        desk = _Desk(nights=nights, family=family, series_id=series_id, now=now)
        events = desk.events(ledger, ruleset=ruleset)
        _record(evaluation, desk, ledger, events=events)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One series whose nights changed: the primary one raises and changes alerts.

    Another may only lower what it raised itself while it was the primary one; and no
    series takes back what another has seen.
    """

    nights: Nights
    family: Family
    series_id: str
    now: datetime

    @property
    def key(self) -> FamilyKey:
        return self.family.subject, self.family.kind

    def events(
        self, ledger: Mapping[date, HrvAlert], *, ruleset: Ruleset
    ) -> tuple[AlertEvent, ...]:
        rows = self.family.series[self.series_id]
        judged = sorted(self.nights.altered(self.family, self.series_id))
        verdicts = [v for day in judged if (v := rows[day].verdict) is not None]
        told = [v for v in verdicts if self._may_tell(v, ledger.get(v.night))]
        if not told:
            return ()
        untold = [verdict for verdict in verdicts if verdict not in told]
        # Only an alert can be closed, and only a ledger holds one.
        before = self._earlier(judged[0], ruleset=ruleset) if ledger else ()
        is_primary = self.nights.primary(self.family) == self.series_id
        cause = self.nights.causes[self.key]
        return emit(
            subject=self.family.subject,
            metric_family=self.family.kind,
            verdicts=told,
            earlier=[*before, *untold],
            ledger=alert_rows.entries(ledger.values()),
            newest_night=max(rows),
            today=cause.today(self.now),
            ruleset=ruleset,
            backfill=not is_primary or self.nights.is_backfill(self.key),
            silent=self.nights.filled(self.key),
            muted=self.nights.is_muted(cause),
        )

    def _may_tell(self, verdict: Verdict, alert: HrvAlert | None) -> bool:
        if alert is not None and alert.series_id == self.series_id:
            return True
        if self.nights.primary(self.family) != self.series_id:
            return False
        return (
            alert is None
            or RANK[verdict.severity] > RANK[cast(Severity, alert.severity)]
        )

    def _earlier(self, before: date, *, ruleset: Ruleset) -> Sequence[Verdict]:
        """Return as many nights as it takes to see that an alert is over."""
        valid = [
            day
            for day, row in self.family.series[self.series_id].items()
            if day < before and row.night.value_ms is not None
        ]
        days = sorted(valid)[-ruleset.sending.resolve_nights :]
        return self.nights.verdicts(self.family, self.series_id, days)


def _record(
    evaluation: Evaluation,
    desk: _Desk,
    ledger: dict[date, HrvAlert],
    *,
    events: Sequence[AlertEvent],
) -> None:
    cause = desk.nights.causes[desk.key]
    for event in events:
        alert = alert_rows.apply(
            event,
            ledger=ledger,
            subject=desk.family.subject,
            family=desk.family.kind,
            series_id=desk.series_id,
            now=desk.now,
        )
        evaluation.alerts[alert.id] = alert
        if event.kind in PAGING:
            evaluation.reopened.add(alert.id)
        evidence = alert_rows.evidence_of(event, series_id=desk.series_id)
        evaluation.told.append(Told(event=event, cause=cause, evidence=evidence))


def _assess(
    one: Said, *, nights: Nights, ruleset: Ruleset, now: datetime
) -> Assessed | None:
    """Put together what travels with an event."""
    verdict, is_primary, is_newest = None, True, True
    place = nights.places.get(one.event_id)
    if place is not None:
        family = nights.families[place.key]
        row = family.series[place.series_id][place.night]
        # A longer sleep of the same batch may have taken the night over.
        verdict = row.verdict if row.event_id == one.event_id else None
        is_primary = nights.primary(family) == place.series_id
        age = (max(family.series[place.series_id]) - place.night).days
        is_newest = age < ruleset.sending.page_nights
    return assess(
        readings=one.record.readings,
        verdict=verdict,
        ruleset=ruleset,
        may_page=is_primary
        and is_newest
        and not nights.is_muted(one)
        and _is_fresh(one, ruleset=ruleset, now=now),
    )


def _is_fresh(one: Said, *, ruleset: Ruleset, now: datetime) -> bool:
    """Say whether the event is of these days: an old one is never urgent."""
    night = one.record.night
    day = night.night if night is not None else one.record.local_date
    if one.is_backfill or day is None:
        return not one.is_backfill
    return (one.today(now) - day).days < ruleset.sending.page_age_days

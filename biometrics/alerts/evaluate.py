"""Step 6: judge what new events say of people's nights, and decide who hears of it.

Reads everything first and writes at the end, so that the verdicts can travel with the
events that caused them. Two queries for the nights of a whole batch and one for its
alerts; nothing is read for a batch without nights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from biometrics.alerts import alert_rows, night_rows
from biometrics.alerts.assessment import Assessed, assess
from biometrics.alerts.emission import AlertEvent, affected_nights, emit
from biometrics.alerts.night_rows import Family, FamilyKey, NightRow
from biometrics.alerts.nights import (
    Night,
    clean_night,
    compare,
    is_future,
    primary_series,
)
from biometrics.alerts.rules import Verdict, judge_many
from biometrics.alerts.ruleset import Ruleset
from biometrics.catalogue import Metric
from biometrics.models import HrvAlert
from biometrics.vendors.base import NightSignals, Record
from biometrics.vendors.times import in_offset

# A verdict tells an alert to be over by the last nights; a few more cost nothing.
_EARLIER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A new event that stands, as far as judging is concerned.

    `replaces` is the stored event that it supersedes. `is_backfill` marks what was
    fetched from the past: it never pages.
    """

    event_id: UUID
    replaces: UUID | None
    subject: UUID
    vendor: str
    record: Record
    received_at: datetime
    is_backfill: bool = False
    traceparent: str = ""


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
    alerts: dict[UUID, tuple[HrvAlert, NightRow | None]] = field(default_factory=dict)

    def save(self) -> None:
        """Write nights and alerts, in the transaction of the events."""
        night_rows.save(self.families.values())
        for alert, row in self.alerts.values():
            if row is not None:
                alert.hrv_night_id = row.id
        alert_rows.save(alert for alert, _ in self.alerts.values())


def evaluate(said: Sequence[Said], *, ruleset: Ruleset, now: datetime) -> Evaluation:
    """Judge the events of a batch; call it with their subjects locked.

    `said` must be in the order in which the events happened to us, one for each record.
    """
    bench = _Bench(ruleset=ruleset, now=now)
    bench.load(said)
    for one in said:
        bench.take(one)
    bench.judge()
    bench.tell()
    for one in said:
        bench.assess(one)
    return bench.evaluation


class _Bench:
    """One batch in hand."""

    def __init__(self, *, ruleset: Ruleset, now: datetime) -> None:
        self._ruleset = ruleset
        self._now = now
        self.evaluation = Evaluation()
        self._pointers: dict[UUID, list[night_rows.Pointer]] = {}
        # The last event that touched a family is the cause of what is told of it.
        self._causes: dict[FamilyKey, Said] = {}
        self._is_live: dict[FamilyKey, bool] = {}
        self._standing: dict[UUID, tuple[FamilyKey, str, date]] = {}

    def load(self, said: Sequence[Said]) -> None:
        """Read the nights that the events can touch."""
        replaced = [one.replaces for one in said if one.replaces is not None]
        if replaced:
            for pointer in night_rows.pointing_at(replaced):
                self._pointers.setdefault(pointer.event_id, []).append(pointer)
        first: dict[FamilyKey, date] = {}
        for one in said:
            night = one.record.night
            touched = [(p.kind, p.night) for p in self._pointed(one)]
            if night is not None:
                touched.append((night.kind, night.night))
            for kind, day in touched:
                key = (one.subject, kind)
                first[key] = min(day, first.get(key, day))
        self.evaluation.families = night_rows.load(first, ruleset=self._ruleset)

    def take(self, one: Said) -> None:
        """Bring the nights to where this event leaves them."""
        night = one.record.night
        for pointer in self._pointed(one):
            if night is None or (pointer.series_id, pointer.night) != (
                night.series_id,
                night.night,
            ):
                self._blank(pointer, one)
        if night is not None and not is_future(
            night=night.night, today=self._today(one)
        ):
            self._put(night, one)

    def _pointed(self, one: Said) -> Sequence[night_rows.Pointer]:
        return self._pointers.get(one.replaces, ()) if one.replaces is not None else ()

    def _blank(self, pointer: night_rows.Pointer, one: Said) -> None:
        """Deleting a night makes its values missing."""
        family = self.evaluation.families[pointer.subject, pointer.kind]
        row = family.series[pointer.series_id][pointer.night]
        empty = Night(
            night=pointer.night,
            record_id=row.night.record_id,
            updated_at=one.record.stamp,
        )
        family.put(
            pointer.series_id, NightRow(id=row.id, event_id=one.event_id, night=empty)
        )
        self._note(family, one)

    def _put(self, signals: NightSignals, one: Said) -> None:
        family = self.evaluation.families[one.subject, signals.kind]
        incoming = _cleaned(signals, one, ruleset=self._ruleset)
        row = family.series.get(signals.series_id, {}).get(signals.night)
        if row is not None:
            change = compare(
                stored=row.night,
                incoming=incoming,
                kind=signals.kind,
                ruleset=self._ruleset,
            )
            if change == "stale":
                return
            if change == "unchanged":
                # The values stay; the event that stands for them is the new one.
                row.event_id = one.event_id
                row.night = replace(row.night, updated_at=incoming.updated_at)
                family.touched.add((signals.series_id, signals.night))
                self._stand(family, signals, one)
                return
        number = row.id if row is not None else None
        family.put(
            signals.series_id,
            NightRow(id=number, event_id=one.event_id, night=incoming),
        )
        self._note(family, one)
        self._stand(family, signals, one)

    def _note(self, family: Family, one: Said) -> None:
        key = (family.subject, family.kind)
        self._causes[key] = one
        self._is_live[key] = self._is_live.get(key, False) or not one.is_backfill

    def _stand(self, family: Family, signals: NightSignals, one: Said) -> None:
        key = (family.subject, family.kind)
        self._standing[one.event_id] = (key, signals.series_id, signals.night)

    def judge(self) -> None:
        """Give every touched night, and every night that it can alter, its verdict."""
        for family in self.evaluation.families.values():
            for series_id in {name for name, _ in family.touched}:
                days = {day for name, day in family.touched if name == series_id}
                days |= self._affected(family, series_id)
                self._judge(family, series_id, days)
                family.touched |= {(series_id, day) for day in days}

    def _affected(self, family: Family, series_id: str) -> set[date]:
        revised = family.revised.get(series_id)
        if not revised:
            return set()
        rows = family.series[series_id]
        alterable = affected_nights(
            changed=min(revised), newest_night=max(rows), ruleset=self._ruleset
        )
        return {day for day in alterable if day in rows}

    def _judge(
        self, family: Family, series_id: str, days: set[date]
    ) -> dict[date, Verdict]:
        verdicts = judge_many(
            nights=family.nights(series_id),
            judged=sorted(days),
            kind=family.kind,
            ruleset=self._ruleset,
        )
        for verdict in verdicts:
            family.series[series_id][verdict.night].verdict = verdict
        return {verdict.night: verdict for verdict in verdicts}

    def tell(self) -> None:
        """Decide what is raised, changed, taken back or closed."""
        keys = [
            key
            for key, family in self.evaluation.families.items()
            if self._primary(family) in family.revised
        ]
        if not keys:
            return
        first = min(
            min(days)
            for key in keys
            for days in self.evaluation.families[key].revised.values()
        )
        subjects = {subject for subject, _ in keys}
        ledgers = alert_rows.load(subjects, first=first, ruleset=self._ruleset)
        for key in keys:
            self._tell(self.evaluation.families[key], ledgers.setdefault(key, {}))

    def _tell(self, family: Family, ledger: dict[date, HrvAlert]) -> None:
        key = (family.subject, family.kind)
        series_id, cause = self._primary(family), self._causes[key]
        rows = family.series[series_id]
        judged = self._affected(family, series_id)
        earlier = self._earlier(family, series_id, before=min(judged)) if ledger else ()
        events = emit(
            subject=family.subject,
            metric_family=family.kind,
            verdicts=[v for day in judged if (v := rows[day].verdict) is not None],
            earlier=earlier,
            ledger=alert_rows.entries(ledger.values()),
            newest_night=max(rows),
            today=self._today(cause),
            ruleset=self._ruleset,
            backfill=not self._is_live[key],
        )
        for event in events:
            alert = alert_rows.apply(
                event,
                ledger=ledger,
                subject=family.subject,
                family=family.kind,
                series_id=series_id,
                now=self._now,
            )
            self.evaluation.alerts[alert.id] = (alert, rows.get(event.night))
            evidence = alert_rows.evidence_of(event, series_id=series_id)
            self.evaluation.told.append(
                Told(event=event, cause=cause, evidence=evidence)
            )

    def _earlier(
        self, family: Family, series_id: str, *, before: date
    ) -> Sequence[Verdict]:
        """Judge the valid nights just before: they may close an alert."""
        rows = family.series[series_id]
        valid = sorted(
            day
            for day, row in rows.items()
            if day < before and row.night.value_ms is not None
        )
        return judge_many(
            nights=family.nights(series_id),
            judged=valid[-_EARLIER:],
            kind=family.kind,
            ruleset=self._ruleset,
        )

    def _primary(self, family: Family) -> str:
        newest = max(
            (max(rows) for rows in family.series.values() if rows), default=None
        )
        if newest is None:
            return ""
        nights = {name: family.nights(name) for name in family.series}
        chosen = primary_series(
            series=nights, newest_night=newest, ruleset=self._ruleset
        )
        return chosen or ""

    def assess(self, one: Said) -> None:
        """Put together what travels with this event."""
        verdict, is_primary = None, True
        if one.event_id in self._standing:
            key, series_id, night = self._standing[one.event_id]
            family = self.evaluation.families[key]
            verdict = family.series[series_id][night].verdict
            is_primary = self._primary(family) == series_id
        found = assess(
            readings=one.record.readings,
            verdict=verdict,
            ruleset=self._ruleset,
            may_page=is_primary and self._is_fresh(one),
        )
        if found is not None:
            self.evaluation.assessed[one.event_id] = found

    def _is_fresh(self, one: Said) -> bool:
        night = one.record.night
        day = night.night if night is not None else one.record.local_date
        if one.is_backfill or day is None:
            return not one.is_backfill
        return (self._today(one) - day).days < self._ruleset.sending.page_age_days

    def _today(self, one: Said) -> date:
        """Return the date where the person is, UTC's where that is not known."""
        local = in_offset(self._now, one.record.zone_offset)
        return (
            local.local_date if local is not None else self._now.astimezone(UTC).date()
        )


def _cleaned(signals: NightSignals, one: Said, *, ruleset: Ruleset) -> Night:
    return clean_night(
        night=signals.night,
        kind=signals.kind,
        ruleset=ruleset,
        value_ms=signals.value_ms,
        rhr_bpm=signals.rhr_bpm,
        rr_brpm=signals.rr_brpm,
        temp_c=signals.temp_c,
        sleep_s=_sleep_s(one.record),
        record_id=one.record.record_id,
        updated_at=one.record.stamp,
        received_at=one.received_at,
    )


def _sleep_s(record: Record) -> float | None:
    said = {r.metric: r.value for r in record.readings if r.context is None}
    asleep = said.get(Metric.SLEEP_DURATION)
    if asleep is not None or record.record_type != "sleep":
        return asleep
    if record.start is None or record.end is None:
        return None
    span = record.end - record.start
    return span.total_seconds() if span > timedelta(0) else None

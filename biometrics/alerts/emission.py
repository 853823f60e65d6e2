"""From verdicts to messages: what is sent, changed, taken back or closed.

Pure functions over the ledger, which holds what was sent earlier for one person and one
metric family. Feeding the same verdicts twice sends nothing the second time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias
from uuid import UUID, uuid5

from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import RANK, Ruleset, Severity

EventKind: TypeAlias = Literal[
    "RAISED", "UPGRADED", "DOWNGRADED", "RETRACTED", "RESOLVED"
]
Priority: TypeAlias = Literal["HIGH", "MEDIUM", "NORMAL"]

# Part of the wire contract: consumers may compute the id of an alert themselves.
ALERT_NAMESPACE: Final = UUID("6f6b0a3c-5f0e-5d0b-9d53-0d6f0c1b7a11")

PAGING: Final = frozenset({"RAISED", "UPGRADED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One alert as it was last sent; `severity` is NORMAL once it was retracted."""

    night: date
    severity: Severity
    max_severity: Severity
    revision: int = 1
    resolved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One message about the alert of `night`, caused by `verdict`.

    `verdict.night` is the alert's own night, except for RESOLVED, where it is the night
    that closed it. Consumers are idempotent on (`alert_id`, `revision`).
    """

    kind: EventKind
    alert_id: UUID
    night: date
    severity: Severity
    priority: Priority
    revision: int
    reasons: tuple[str, ...]
    verdict: Verdict


def alert_id(*, subject: UUID, metric_family: str, night: date) -> UUID:
    """Return the one id that an alert of this person, family and night can have."""
    name = f"{subject}|{metric_family}|{night.isoformat()}|hrv"
    return uuid5(ALERT_NAMESPACE, name)


def priority_of(severity: Severity) -> Priority:
    """Return the priority header for a severity: CRITICAL travels as HIGH."""
    return "HIGH" if severity == "CRITICAL" else severity


def affected_nights(
    *, changed: date, newest_night: date, ruleset: Ruleset
) -> tuple[date, ...]:
    """Return the nights, oldest first, whose verdict a changed night can alter."""
    last = min(newest_night, changed + timedelta(days=ruleset.lookback_nights))
    return tuple(changed + timedelta(days=i) for i in range((last - changed).days + 1))


def emit(
    *,
    subject: UUID,
    metric_family: str,
    verdicts: Sequence[Verdict],
    earlier: Sequence[Verdict] = (),
    ledger: Iterable[LedgerEntry],
    newest_night: date,
    today: date,
    ruleset: Ruleset,
    backfill: bool = False,
    muted: bool = False,
    silent: Collection[date] = (),
) -> tuple[AlertEvent, ...]:
    """Return the messages that these new or changed verdicts call for.

    `ledger` holds this person's alerts of this family (the last 60 nights suffice);
    `earlier` holds unchanged verdicts of the nights before, needed to see that an alert
    is over. `newest_night` is the newest stored night, `today` the date where the
    person is. With `backfill` nothing is raised or closed, with `muted` nothing is
    raised, nor for the nights in `silent`; false alerts are still taken back.
    """
    desk = _Desk(
        subject=subject,
        family=metric_family,
        newest=newest_night,
        today=today,
        ruleset=ruleset,
        backfill=backfill,
        muted=muted,
        silent=silent,
    )
    entries = {entry.night: entry for entry in ledger}
    known = {verdict.night: verdict for verdict in earlier}
    events: list[AlertEvent] = []
    for verdict in sorted(verdicts, key=lambda item: item.night):
        known[verdict.night] = verdict
        for event in desk.events(verdict=verdict, known=known, entries=entries):
            events.append(event)
            entries[event.night] = _recorded(entries.get(event.night), event)
    return tuple(events)


def apply_events(
    *, ledger: Iterable[LedgerEntry], events: Iterable[AlertEvent]
) -> tuple[LedgerEntry, ...]:
    """Return the ledger after these messages, oldest night first."""
    entries = {entry.night: entry for entry in ledger}
    for event in events:
        entries[event.night] = _recorded(entries.get(event.night), event)
    return tuple(entries[night] for night in sorted(entries))


def _recorded(entry: LedgerEntry | None, event: AlertEvent) -> LedgerEntry:
    if entry is None:
        return LedgerEntry(
            night=event.night,
            severity=event.severity,
            max_severity=event.severity,
            revision=event.revision,
        )
    if event.kind == "RESOLVED":
        # The alert was true: it goes on holding the cool-down with its severity.
        return replace(entry, resolved=True, revision=event.revision)
    return replace(
        entry,
        severity=event.severity,
        max_severity=max(entry.max_severity, event.severity, key=RANK.__getitem__),
        revision=event.revision,
        # What is over stays over when it turns out to have been less.
        resolved=entry.resolved and event.kind == "DOWNGRADED",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What one call of `emit` knows besides verdicts and ledger."""

    subject: UUID
    family: str
    newest: date
    today: date
    ruleset: Ruleset
    backfill: bool
    muted: bool
    silent: Collection[date]

    def events(
        self,
        *,
        verdict: Verdict,
        known: Mapping[date, Verdict],
        entries: Mapping[date, LedgerEntry],
    ) -> list[AlertEvent]:
        kind = self._change(verdict, entries)
        found = [(kind, entries.get(verdict.night))] if kind is not None else []
        found += [("RESOLVED", entry) for entry in self._over(verdict, known, entries)]
        return [self._event(kind, verdict, entry) for kind, entry in found]

    def _change(
        self, verdict: Verdict, entries: Mapping[date, LedgerEntry]
    ) -> EventKind | None:
        entry = entries.get(verdict.night)
        sent: Severity = "NORMAL" if entry is None else entry.severity
        if RANK[verdict.severity] > RANK[sent]:
            may_page = self._may_page(verdict.night) and not self.muted
            if not may_page or self._held(verdict, entries):
                return None
            return "RAISED" if sent == "NORMAL" else "UPGRADED"
        if RANK[verdict.severity] < RANK[sent]:
            return self._lowered(verdict)
        return None

    def _lowered(self, verdict: Verdict) -> EventKind | None:
        age = (self.newest - verdict.night).days
        if verdict.severity == "NORMAL":
            # Kept for the audit trail long after the night stopped mattering.
            return "RETRACTED" if age < self.ruleset.sending.retract_nights else None
        return "DOWNGRADED" if age < self.ruleset.sending.page_nights else None

    def _may_page(self, night: date) -> bool:
        sending = self.ruleset.sending
        return (
            not self.backfill
            and night not in self.silent
            and (self.newest - night).days < sending.page_nights
            # One date of slack ahead: the caller's date may be the UTC one.
            and -1 <= (self.today - night).days < sending.page_age_days
        )

    def _held(self, verdict: Verdict, entries: Mapping[date, LedgerEntry]) -> bool:
        """Tell whether an earlier message as severe still holds the cool-down."""
        nights = self.ruleset.sending.cool_down(verdict.severity)
        return any(
            RANK[entry.severity] >= RANK[verdict.severity]
            and 0 < (verdict.night - entry.night).days < nights
            for entry in entries.values()
        )

    def _over(
        self,
        verdict: Verdict,
        known: Mapping[date, Verdict],
        entries: Mapping[date, LedgerEntry],
    ) -> list[LedgerEntry]:
        """Return the open alerts that the last quiet nights close."""
        sending = self.ruleset.sending
        if verdict.value_ms is None or not self._may_page(verdict.night):
            return []
        valid = sorted(
            night
            for night, item in known.items()
            if item.value_ms is not None and night <= verdict.night
        )
        last = [known[night] for night in valid[-sending.resolve_nights :]]
        if len(last) < sending.resolve_nights or not all(map(self._quiet, last)):
            return []
        return [
            entries[night]
            for night in sorted(entries)
            if night < last[0].night
            and RANK[entries[night].severity] >= RANK["HIGH"]
            and not entries[night].resolved
        ]

    def _quiet(self, verdict: Verdict) -> bool:
        above = self.ruleset.sending.resolve_above
        return (
            verdict.severity == "NORMAL"
            and verdict.z1 is not None
            and verdict.z1 > above
        )

    def _event(
        self, kind: EventKind, verdict: Verdict, entry: LedgerEntry | None
    ) -> AlertEvent:
        night = verdict.night if entry is None else entry.night
        return AlertEvent(
            kind=kind,
            alert_id=alert_id(
                subject=self.subject, metric_family=self.family, night=night
            ),
            night=night,
            severity=verdict.severity,
            priority=priority_of(verdict.severity) if kind in PAGING else "NORMAL",
            revision=1 if entry is None else entry.revision + 1,
            reasons=verdict.reasons,
            verdict=verdict,
        )

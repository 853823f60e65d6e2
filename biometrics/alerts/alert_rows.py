"""The stored alerts of people: the ledger that emission asks, and its new entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TypeAlias, cast
from uuid import UUID

from biometrics.alerts.emission import AlertEvent, EventKind, LedgerEntry
from biometrics.alerts.evidence import Json, verdict_json
from biometrics.alerts.ruleset import RANK, Ruleset, Severity
from biometrics.alerts.wording import DISCLAIMER, announce, label
from biometrics.models import HrvAlert
from biometrics.models.hrv import AlertStatus

# By (person, metric family), then by night.
Ledgers: TypeAlias = dict[tuple[UUID, str], dict[date, HrvAlert]]

_WRITTEN = (
    "hrv_night",
    "series_id",
    "severity",
    "max_severity",
    "status",
    "revision",
    "reasons",
    "evidence",
    "message",
    "ruleset",
    "raised_at",
    "updated_at",
)
_STATUS: Mapping[EventKind, AlertStatus] = {
    "RAISED": AlertStatus.OPEN,
    "UPGRADED": AlertStatus.OPEN,
    "RETRACTED": AlertStatus.RETRACTED,
    "RESOLVED": AlertStatus.RESOLVED,
}


def load(subjects: Iterable[UUID], *, first: date, ruleset: Ruleset) -> Ledgers:
    """Return the alerts of these people that can matter for nights from `first` on."""
    since = first - timedelta(days=ruleset.window_nights)
    ledgers: Ledgers = {}
    rows = HrvAlert.objects.filter(subject_id__in=list(subjects), night__gte=since)
    for alert in rows:
        key = (alert.subject_id, alert.metric_family)
        ledgers.setdefault(key, {})[alert.night] = alert
    return ledgers


def entries(alerts: Iterable[HrvAlert]) -> list[LedgerEntry]:
    """Return the rows as emission reads them."""
    return [
        LedgerEntry(
            night=alert.night,
            severity=cast(Severity, alert.severity),
            max_severity=cast(Severity, alert.max_severity),
            revision=alert.revision,
            resolved=alert.status == AlertStatus.RESOLVED,
        )
        for alert in alerts
    ]


def evidence_of(event: AlertEvent, *, series_id: str) -> dict[str, Json]:
    """Return the figures behind an alert event, with the words for people."""
    return {
        **verdict_json(verdict=event.verdict),
        "series_id": series_id,
        "label": label(verdict=event.verdict),
        "message": announce(event=event),
        "disclaimer": DISCLAIMER,
    }


def apply(
    event: AlertEvent,
    *,
    ledger: dict[date, HrvAlert],
    subject: UUID,
    family: str,
    series_id: str,
    now: datetime,
) -> HrvAlert:
    """Bring the ledger's row to where the event leaves it; returns that row."""
    alert = ledger.get(event.night)
    if alert is None:
        alert = HrvAlert(
            id=event.alert_id,
            subject_id=subject,
            metric_family=family,
            night=event.night,
            max_severity=event.severity,
        )
        ledger[event.night] = alert
    alert.revision = event.revision
    alert.status = _STATUS.get(event.kind, AlertStatus(alert.status))
    if event.kind == "RAISED":
        alert.raised_at = now
    # A resolved alert was true: its own night's evidence stays.
    if event.kind != "RESOLVED":
        alert.series_id = series_id
        alert.severity = event.severity
        alert.max_severity = max(
            cast(Severity, alert.max_severity), event.severity, key=RANK.__getitem__
        )
        alert.reasons = list(event.reasons)
        alert.evidence = evidence_of(event, series_id=series_id)
        alert.message = announce(event=event)
        alert.ruleset = event.verdict.ruleset
    return alert


def save(alerts: Iterable[HrvAlert], *, reopened: Collection[UUID] = ()) -> None:
    """Write new and changed alerts; what staff noted on them stays.

    Of the `reopened` ones the acknowledgement is over: somebody must look again, and
    may read what was found the last time.
    """
    rows = list(alerts)
    if rows:
        HrvAlert.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=("id",),
            update_fields=_WRITTEN,
        )
    if reopened:
        HrvAlert.objects.filter(id__in=reopened).update(acknowledged_at=None)

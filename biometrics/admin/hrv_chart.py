"""A person's nights as a picture: values, the own usual range, alerts, and gaps.

The same figures stand beside it as a sentence and as a table, so that nobody needs to
see the picture. Method and device are named: RMSSD and SDNN are never drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min

from biometrics.alerts.configured import configured_ruleset
from biometrics.models import HrvAlert, HrvNight, Subject
from biometrics.models.hrv import AlertStatus

SPANS = (30, 90, 365)
_METHODS = {
    "RMSSD": "the root mean square of successive differences between heartbeats",
    "SDNN": "the standard deviation of the intervals between heartbeats",
}
_BEFORE, _AFTER = 60, 14
_MOST_SERIES = 4
_TAKEN_BACK = "Taken back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One night of the table beside the picture."""

    night: date
    value_ms: float | None
    usual: str
    z1: float | None
    severity: str
    alert: HrvAlert | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One series of one person; `data` is what the script draws."""

    key: str
    title: str
    sentence: str
    data: Mapping[str, Any]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Night:
    value_ms: float | None
    severity: str
    verdict: Mapping[str, Any]

    @property
    def usual(self) -> tuple[float, float] | None:
        edges = self.verdict.get("range_ms")
        return None if edges is None else (edges[0], edges[1])


def around(alert: HrvAlert) -> Chart:
    """Return the series of an alert, from two months before its night to some after."""
    span = (
        alert.night - timedelta(days=_BEFORE),
        alert.night + timedelta(days=_AFTER),
    )
    stored = HrvNight.objects.filter(
        subject=alert.subject_id,
        series_id=alert.series_id,
        night__range=span,
        is_main=True,
    ).aggregate(first=Min("night"), last=Max("night"))
    return chart_of(
        subject=alert.subject_id,
        series_id=alert.series_id,
        first=min(alert.night, stored["first"] or alert.night),
        last=max(alert.night, stored["last"] or alert.night),
    )


def of_person(subject: Subject, *, days: int, today: date) -> list[Chart]:
    """Return the person's series with the most nights first, up to the newest night."""
    rows = HrvNight.objects.filter(subject=subject, is_main=True)
    newest = rows.aggregate(night=Max("night"))["night"]
    last = max(today, newest) if newest else today
    first = last - timedelta(days=days - 1)
    series = (
        rows.filter(night__range=(first, last), value_ms__isnull=False)
        .values_list("series_id")
        .annotate(n=Count("id"))
        .order_by("-n", "series_id")
    )
    return [
        chart_of(subject=subject.pk, series_id=name, first=first, last=last)
        for name, _ in series[:_MOST_SERIES]
    ]


def chart_of(*, subject: UUID, series_id: str, first: date, last: date) -> Chart:
    """Return one series from `first` to `last`, a place for each calendar night."""
    span = (first, last)
    rows = HrvNight.objects.filter(
        subject=subject, series_id=series_id, night__range=span, is_main=True
    ).values_list("night", "value_ms", "severity", "verdict")
    nights = {
        night: _Night(value_ms=value, severity=severity, verdict=verdict)
        for night, value, severity, verdict in rows
    }
    alerts = {
        alert.night: alert
        for alert in HrvAlert.objects.filter(
            subject=subject, series_id=series_id, night__range=span
        )
    }
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    method = series_id.partition(":")[0]
    return Chart(
        key="hrv-" + "".join(c if c.isalnum() else "-" for c in series_id),
        title=f"Nightly HRV ({method}), {_device(series_id)}",
        sentence=_sentence(method, days, nights, alerts.values()),
        data={
            "method": method,
            "nights": [day.isoformat() for day in days],
            "values": [_value(nights.get(day)) for day in days],
            "low": [_edge(nights.get(day), 0) for day in days],
            "high": [_edge(nights.get(day), 1) for day in days],
            "alerts": {day.isoformat(): mark(alerts[day]) for day in sorted(alerts)},
        },
        lines=[
            _line(day, nights.get(day), alerts.get(day))
            for day in reversed(days)
            if day in nights or day in alerts
        ],
    )


def mark(alert: HrvAlert) -> str:
    """Return under which name an alert is drawn."""
    if alert.status == AlertStatus.RETRACTED:
        return _TAKEN_BACK
    return alert.severity


def between(usual: tuple[float, float] | None) -> str:
    """Return a range in words, empty while there is none."""
    return "" if usual is None else f"{usual[0]:.0f} to {usual[1]:.0f} ms"


def _sentence(
    method: str,
    days: Sequence[date],
    nights: Mapping[date, _Night],
    alerts: Iterable[HrvAlert],
) -> str:
    worn = sum(night.value_ms is not None for night in nights.values())
    held = sum(alert.status != AlertStatus.RETRACTED for alert in alerts)
    parts = [
        f"{method} is {_METHODS[method]}." if method in _METHODS else "",
        f"{worn} of {len(days)} nights have a value.",
        _baseline(nights[max(nights)]) if nights else "",
        f"{held} alerts." if held != 1 else "1 alert.",
    ]
    return " ".join(part for part in parts if part)


def _baseline(newest: _Night) -> str:
    needed, known = configured_ruleset().active_nights, newest.verdict.get("nights", 0)
    usual = between(newest.usual)
    if not usual:
        return f"{known} of {needed} nights: no usual range yet."
    if newest.verdict.get("state") == "ACTIVE":
        return f"Own usual range {usual}, from {known} nights."
    return f"Own usual range {usual}, an estimate: {known} of {needed} nights."


def _device(series_id: str) -> str:
    return " ".join(part for part in series_id.split(":")[1:] if part) or "unknown"


def _value(night: _Night | None) -> float | None:
    if night is None or night.value_ms is None:
        return None
    return round(night.value_ms, 1)


def _edge(night: _Night | None, place: int) -> float | None:
    usual = None if night is None else night.usual
    return None if usual is None else round(usual[place], 1)


def _line(day: date, night: _Night | None, alert: HrvAlert | None) -> Line:
    return Line(
        night=day,
        value_ms=None if night is None else night.value_ms,
        usual=between(None if night is None else night.usual),
        z1=None if night is None else night.verdict.get("z1"),
        severity="" if night is None else night.severity,
        alert=alert,
    )

"""The page of a person: does the data flow, what does it say, what can be done?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from biometrics.admin.erasing import PERMISSION as ERASE
from biometrics.admin.hrv_person import person_context
from biometrics.admin.inbox import age
from biometrics.admin.reveal import is_revealed
from biometrics.admin.shown import link, moment
from biometrics.admin.tuning import PERMISSION as TUNE
from biometrics.admin.viewer import may_view
from biometrics.alerts.configured import configured_ruleset
from biometrics.alerts.rules import assess_level
from biometrics.catalogue import Metric
from biometrics.models import Reading, StaffAlarm, Subject, VendorConnection
from biometrics.models.people import ConnectionStatus
from biometrics.recovery.streams import Stream, streams_of

CONNECT = "biometrics.change_subject"
_VERBS = (
    ("Connect an account", "connect", CONNECT),
    ("Alert settings", "tuning", TUNE),
    ("Erase this person", "erase", ERASE),
)
_MOST_CONNECTIONS = 8
_NIGHTS = 7
_SLEEP = {
    Metric.SLEEP_DURATION: "Asleep",
    Metric.SLEEP_EFFICIENCY: "Efficiency",
    Metric.SLEEP_SCORE: "Sleep score",
    Metric.READINESS_SCORE: "Readiness",
    Metric.RECOVERY_SCORE: "Recovery",
    Metric.RESTING_HEART_RATE: "Resting heart rate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """One data type of one connection, with the verdict in a word."""

    connection: SafeString | str
    stream: str
    newest: SafeString | str
    ago: str
    usual: str
    verdict: str
    is_quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What a date says about sleep and recovery, in the order of the columns."""

    date: str
    values: Sequence[str]


def page_context(request: HttpRequest, subject: Subject) -> dict[str, Any]:
    """Return what stands above the person's fields; values only after a reveal."""
    now = timezone.now()
    may_see = may_view(VendorConnection)
    mine = subject.connections.order_by("vendor", "id")
    connections = list(mine[:_MOST_CONNECTIONS]) if may_see else []
    fresh = [
        line for connection in connections for line in _freshness(connection, now=now)
    ]
    context = {
        **person_context(request, subject),
        "person": subject,
        "sees_connections": may_see,
        "sentence": _sentence(connections, fresh) if may_see else "",
        "freshness": fresh,
        "alarms": _alarms(request, connections),
        "verbs": [
            {
                "title": title,
                "url": reverse(f"admin:biometrics_subject_{name}", args=[subject.pk]),
                "is_final": name == "erase",
            }
            for title, name, permission in _VERBS
            if request.user.has_perm(permission)
        ],
    }
    if is_revealed(request, subject.pk):
        context |= {"sleep_columns": list(_SLEEP.values()), "nights": _nights(subject)}
    return context


def _sentence(
    connections: Sequence[VendorConnection], fresh: Sequence[Freshness]
) -> str:
    if not connections:
        return "No vendor is connected. Send a connect link."
    if all(c.status == ConnectionStatus.REVOKED for c in connections):
        return "Every connection has ended. Send a new connect link."
    lost = [c for c in connections if c.status == ConnectionStatus.NEEDS_RECONNECT]
    quiet = [line.stream for line in fresh if line.is_quiet]
    if lost:
        vendors = ", ".join(c.vendor for c in lost)
        return f"{vendors}: the consent is gone. Send a new connect link."
    if quiet:
        return f"Quiet for longer than usual: {', '.join(quiet)}. Is the device worn?"
    if not fresh:
        return "Connected, but no record has come yet."
    return "Data flows."


def _freshness(connection: VendorConnection, *, now: datetime) -> list[Freshness]:
    shown = link(connection, f"{connection.vendor}: {connection.status}")
    streams = streams_of(connection, now=now)
    is_live = connection.status != ConnectionStatus.REVOKED
    return [
        _fresh(stream, connection=shown, is_live=is_live, now=now) for stream in streams
    ]


def _fresh(
    stream: Stream, *, connection: SafeString | str, is_live: bool, now: datetime
) -> Freshness:
    # Of a connection that was ended nothing is expected.
    is_quiet = is_live and stream.is_quiet(now=now)
    word = "quiet" if is_quiet else "flows"
    # A record of a day is there before the day is over.
    is_past = stream.newest <= now
    if stream.usual_gap is None:
        word = "too few days to tell"
    return Freshness(
        connection=connection,
        stream=stream.name,
        newest=moment(stream.newest),
        ago=f"{age(stream.newest, now=now)} ago" if is_past else "not over yet",
        usual="not known yet" if stream.usual_gap is None else _gap(stream.usual_gap),
        verdict=word if is_live else "ended",
        is_quiet=is_quiet,
    )


def _gap(gap: timedelta) -> str:
    days = max(1, gap.days)
    return "every day" if days == 1 else f"every {days} days"


def _alarms(
    request: HttpRequest, connections: Sequence[VendorConnection]
) -> list[SafeString | str]:
    """Return the open alarms about the person's connections."""
    if not connections or not request.user.has_perm("biometrics.view_staffalarm"):
        return []
    about = Q()
    for connection in connections:
        about |= Q(key=str(connection.pk)) | Q(key__startswith=f"{connection.pk}/")
    open_ones = StaffAlarm.objects.filter(
        about, kind__in=("silence", "needs_reconnect"), cleared_at=None
    )
    return [link(alarm, alarm.text) for alarm in open_ones.order_by("since")[:20]]


def _nights(subject: Subject) -> list[Night]:
    """Return the newest dates with a value about sleep or recovery.

    Of several values of a date the newest revision speaks.
    """
    mine = Reading.objects.filter(subject=subject, metric__in=list(_SLEEP), context="")
    newest = mine.aggregate(day=Max("local_date"))["day"]
    if newest is None:
        return []
    rows = mine.filter(local_date__gt=newest - timedelta(days=_NIGHTS))
    days: dict[str, dict[str, str]] = {}
    for row in rows.order_by("-local_date", "revision_stamp"):
        days.setdefault(str(row.local_date), {})[row.metric] = _told(row)
    return [
        Night(date=day, values=[values.get(metric, "") for metric in _SLEEP])
        for day, values in days.items()
    ]


def _told(row: Reading) -> str:
    if row.metric == Metric.SLEEP_DURATION and row.unit == "s":
        minutes = round(row.value / 60)
        return f"{minutes // 60} h {minutes % 60:02} min"
    unit = {"1": "", "{score}": "", "/min": " bpm", "%": " %"}.get(row.unit)
    said = f"{round(row.value, 1):g}{f' {row.unit}' if unit is None else unit}"
    level = assess_level(
        metric=row.metric, value=row.value, ruleset=configured_ruleset()
    )
    # Told here and in the record's headers, never as an alert.
    return said if level.severity == "NORMAL" else f"{said} ({level.severity})"

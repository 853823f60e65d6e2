"""A person's nights as a table and a chart: ``manage.py hrv_report SUBJECT``."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import audit
from biometrics.alerts.picture import PictureNight, png
from biometrics.alerts.wording import DISCLAIMER
from biometrics.models import HrvAlert, HrvNight, Subject


class Command(BaseCommand):
    help = (
        "Print a person's nights with own usual range, z-scores and alerts. It shows"
        " health values: the reason is kept in the audit, as for a reveal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", type=UUID, help="the person's id")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")
        parser.add_argument("--days", type=int, default=90, help="calendar nights")
        parser.add_argument(
            "--series", default="", help="kind:vendor:device; default: most nights"
        )
        parser.add_argument("--png", type=Path, help="write the chart into this file")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the audit entry, then the table and the chart."""
        subject = Subject.objects.filter(pk=options["subject"]).first()
        if subject is None:
            message = f"Nobody has the id {options['subject']}."
            raise CommandError(message)
        rows = _rows(subject, series_id=options["series"], days=options["days"])
        now = timezone.now()
        try:
            audit.note(
                actor=f"command:{getpass.getuser()}",
                verb="values.reveal",
                target=audit.of_subject(subject.pk),
                reason=options["reason"],
                now=now,
                detail={"what": f"the HRV nights of {options['days']} days"},
            )
        except audit.ReasonMissingError as error:
            raise CommandError(str(error)) from error
        alerts = {
            alert.night: alert
            for alert in HrvAlert.objects.filter(
                subject=subject, night__gte=rows[0].night, series_id=rows[0].series_id
            )
        }
        self._table(rows, alerts)
        if options["png"] is not None:
            title = f"Nightly HRV, {rows[0].series_id}"
            picture = png(title=title, nights=_calendar(rows, alerts))
            options["png"].write_bytes(picture)
            self.stdout.write(f"Chart: {options['png']}")
        self.stdout.write(DISCLAIMER)

    def _table(self, rows: Sequence[HrvNight], alerts: dict[date, HrvAlert]) -> None:
        self.stdout.write(f"{rows[0].series_id}, {len(rows)} nights")
        heads = ("night", "ms", "own usual", "z1", "z7", "state", "severity", "alert")
        self.stdout.write("{:<11}{:>7}{:>15}{:>7}{:>7}  {:<12}{:<9}{}".format(*heads))
        for row in rows:
            band = row.verdict.get("range_ms")
            alert = alerts.get(row.night)
            cells = (
                row.night.isoformat(),
                _number(row.value_ms, 1),
                "-" if band is None else f"{band[0]:.1f}-{band[1]:.1f}",
                _number(row.verdict.get("z1"), 2),
                _number(row.verdict.get("z7"), 2),
                row.verdict.get("state", "-"),
                row.severity,
                "" if alert is None else f"{alert.max_severity} ({alert.status})",
            )
            line = "{:<11}{:>7}{:>15}{:>7}{:>7}  {:<12}{:<9}{}".format(*cells)
            self.stdout.write(line.rstrip())


def _rows(subject: Subject, *, series_id: str, days: int) -> list[HrvNight]:
    """Return the main nights of one series, oldest first; at least one."""
    nights = HrvNight.objects.filter(subject=subject, is_main=True)
    if series_id:
        nights = nights.filter(series_id=series_id)
    newest = nights.order_by("-night").first()
    if newest is None:
        known = HrvNight.objects.filter(subject=subject).values_list("series_id")
        names = sorted({name for (name,) in known}) or ["none"]
        message = (
            f"No nights of {series_id or 'this person'}; known are {', '.join(names)}."
        )
        raise CommandError(message)
    recent = nights.filter(night__gt=newest.night - timedelta(days=max(days, 1)))
    by_series: dict[str, list[HrvNight]] = {}
    for row in recent.order_by("night"):
        by_series.setdefault(row.series_id, []).append(row)
    return max(by_series.values(), key=len)


def _calendar(
    rows: Sequence[HrvNight], alerts: dict[date, HrvAlert]
) -> list[PictureNight]:
    """Return a place for each calendar night, so that gaps show."""
    known = {row.night: row for row in rows}
    span = (rows[-1].night - rows[0].night).days
    found = []
    for ago in range(span + 1):
        day = rows[0].night + timedelta(days=ago)
        row, alert = known.get(day), alerts.get(day)
        band = None if row is None else row.verdict.get("range_ms")
        found.append(
            PictureNight(
                night=day,
                value_ms=None if row is None else row.value_ms,
                range_ms=None if band is None else (band[0], band[1]),
                alert=None if alert is None else alert.max_severity,
            )
        )
    return found


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

"""The stored nights of people: read for judging, written with their verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeAlias, cast
from uuid import UUID

from django.db.models import Q

from biometrics.alerts.evidence import Json, verdict_json
from biometrics.alerts.nights import Night, newest
from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import Kind, Ruleset
from biometrics.models import HrvNight, bulk

FamilyKey: TypeAlias = tuple[UUID, Kind]

_COLUMNS = (
    "subject_id",
    "kind",
    "series_id",
    "night",
    "event_id",
    "record_id",
    "sleep_s",
    "value_ms",
    "rhr_bpm",
    "rr_brpm",
    "temp_c",
    "revision_stamp",
)
_KEY = ("subject_id", "series_id", "night", "record_id")
_JUDGED = ("severity", "verdict", "z1", "ruleset")
_WRITTEN = (
    *_KEY,
    "kind",
    "event_id",
    "is_main",
    "sleep_s",
    "value_ms",
    "rhr_bpm",
    "rr_brpm",
    "temp_c",
    "revision_stamp",
    *_JUDGED,
    "updated_at",
)
Judged: TypeAlias = tuple[str, dict[str, Json], float | None, str]
Correction: TypeAlias = tuple[int, str, dict[str, Json], float | None, str]


@dataclass(slots=True, kw_only=True)
class NightRow:
    """One sleep of a night as it is, or will be, stored."""

    event_id: UUID | None
    night: Night
    verdict: Verdict | None = None


@dataclass(slots=True, kw_only=True)
class Family:
    """One person's nights of one HRV kind, by series and date.

    `sleeps` holds every sleep of a date by its record, `series` the one that speaks for
    it. `revised` are the nights whose values changed, `touched` those to be written.
    """

    subject: UUID
    kind: Kind
    sleeps: dict[tuple[str, date], dict[str, NightRow]] = field(default_factory=dict)
    series: dict[str, dict[date, NightRow]] = field(default_factory=dict)
    revised: dict[str, set[date]] = field(default_factory=dict)
    touched: set[tuple[str, date]] = field(default_factory=set)

    def known(self, series_id: str, *, day: date, record_id: str) -> NightRow | None:
        """Return this very sleep as it is stored."""
        return self.sleeps.get((series_id, day), {}).get(record_id)

    def put(self, series_id: str, row: NightRow, *, is_revised: bool = True) -> bool:
        """Take a sleep in; True when the values that stand for its night changed.

        Which sleep speaks is a function of all of them, so the order in which they came
        leaves no trace.
        """
        day = row.night.night
        sleeps = self.sleeps.setdefault((series_id, day), {})
        sleeps[row.night.record_id] = row
        nights = self.series.setdefault(series_id, {})
        before, main = nights.get(day), _main_of(sleeps)
        nights[day] = main
        self.touched.add((series_id, day))
        is_other = before is None or before.night.record_id != main.night.record_id
        if not (is_other or (main is row and is_revised)):
            return False
        self.revised.setdefault(series_id, set()).add(day)
        return True

    def nights(self, series_id: str) -> list[Night]:
        return [row.night for row in self.series.get(series_id, {}).values()]


def _main_of(sleeps: Mapping[str, NightRow]) -> NightRow:
    standing = newest([row.night for row in sleeps.values()])
    return sleeps[standing.record_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A stored night that a superseded event speaks for."""

    event_id: UUID
    subject: UUID
    kind: Kind
    series_id: str
    night: date
    record_id: str


def pointing_at(event_ids: Iterable[UUID]) -> list[Pointer]:
    """Return the nights that rest on these events."""
    rows = HrvNight.objects.filter(event_id__in=list(event_ids)).values_list(
        "event_id", "subject_id", "kind", "series_id", "night", "record_id"
    )
    return [
        Pointer(
            event_id=event_id,
            subject=subject,
            kind=cast(Kind, kind),
            series_id=series_id,
            night=night,
            record_id=record_id,
        )
        for event_id, subject, kind, series_id, night, record_id in rows
    ]


def load(
    first_nights: Mapping[FamilyKey, date], *, ruleset: Ruleset
) -> dict[FamilyKey, Family]:
    """Return what is stored of these families, as far back as a verdict can need it.

    `first_nights` names the oldest night that is to be judged.
    """
    families = {
        key: Family(subject=key[0], kind=key[1]) for key in sorted(first_nights)
    }
    if not families:
        return {}
    # By month, so that one person's old night does not load everybody's old nights.
    since: dict[date, set[UUID]] = {}
    for (subject, _), first in first_nights.items():
        start = first - timedelta(days=ruleset.lookback_nights)
        since.setdefault(start.replace(day=1), set()).add(subject)
    wanted = Q()
    for start, subjects in since.items():
        wanted |= Q(subject_id__in=subjects, night__gte=start)
    for values in HrvNight.objects.filter(wanted).values_list(*_COLUMNS):
        _take(families, values)
    return families


def _take(families: Mapping[FamilyKey, Family], values: tuple[object, ...]) -> None:
    row = dict(zip(_COLUMNS, values, strict=True))
    family = families.get(cast(FamilyKey, (row["subject_id"], row["kind"])))
    if family is None:
        return
    night = Night(
        night=cast(date, row["night"]),
        value_ms=cast("float | None", row["value_ms"]),
        rhr_bpm=cast("float | None", row["rhr_bpm"]),
        rr_brpm=cast("float | None", row["rr_brpm"]),
        temp_c=cast("float | None", row["temp_c"]),
        sleep_s=cast("float | None", row["sleep_s"]),
        record_id=str(row["record_id"]),
        updated_at=row["revision_stamp"],  # type: ignore[arg-type]
    )
    series_id = str(row["series_id"])
    sleeps = family.sleeps.setdefault((series_id, night.night), {})
    sleeps[night.record_id] = NightRow(
        event_id=cast("UUID | None", row["event_id"]), night=night
    )
    family.series.setdefault(series_id, {})[night.night] = _main_of(sleeps)


def save(families: Iterable[Family], *, now: datetime) -> None:
    """Write the touched nights with their verdicts, the sleeps that do not speak first.

    The table allows one main sleep a night: the old one gives way before the new one.
    """
    rows = [
        (family, series_id, row, row is family.series[series_id][day])
        for family in families
        for series_id, day in sorted(family.touched)
        for row in family.sleeps[series_id, day].values()
    ]
    rows.sort(key=lambda item: item[3])
    bulk.insert(
        HrvNight,
        columns=_WRITTEN,
        rows=[
            _values(family, series_id, row, is_main=is_main, now=now)
            for family, series_id, row, is_main in rows
        ],
        replace_on=_KEY,
    )


def judged_columns(verdict: Verdict) -> Judged:
    """Return what a main sleep's row says of its verdict: severity to ruleset."""
    return verdict.severity, verdict_json(verdict=verdict), verdict.z1, verdict.ruleset


def correct(corrections: Iterable[Correction], *, now: datetime) -> None:
    """Write other verdicts on stored nights, given as id and judged columns."""
    bulk.update(
        HrvNight,
        columns=(*_JUDGED, "updated_at"),
        rows=[(*correction, now) for correction in corrections],
    )


def ids_of(rows: Iterable[tuple[UUID, str, date]]) -> dict[tuple[UUID, str, date], int]:
    """Return the ids of stored nights by person, series and date."""
    wanted = set(rows)
    if not wanted:
        return {}
    found = HrvNight.objects.filter(
        subject_id__in={subject for subject, _, _ in wanted},
        night__in={night for _, _, night in wanted},
        is_main=True,
    ).values_list("subject_id", "series_id", "night", "id")
    return {
        (subject, series, night): number for subject, series, night, number in found
    }


def _values(
    family: Family, series_id: str, row: NightRow, *, is_main: bool, now: datetime
) -> tuple[object, ...]:
    """Return the values of _WRITTEN."""
    # Every touched night was judged; the sleeps that do not speak for one never are.
    verdict = row.verdict if is_main else None
    assert (verdict is not None) == is_main
    assert row.night.updated_at is not None  # a record always has a stamp
    return (
        family.subject,
        series_id,
        row.night.night,
        row.night.record_id,
        family.kind,
        row.event_id,
        is_main,
        row.night.sleep_s,
        row.night.value_ms,
        row.night.rhr_bpm,
        row.night.rr_brpm,
        row.night.temp_c,
        row.night.updated_at,
        *(("NORMAL", {}, None, "") if verdict is None else judged_columns(verdict)),
        now,
    )
